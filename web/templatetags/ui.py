"""The vocabulary of the templates, there in each without ``{% load %}``: icons, formats, pills, ages, addresses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from uuid_utils.compat import uuid7

from web import formats
from web.addresses import record
from web.assets import assets
from web.icons import ICONS

register = template.Library()

TONES = {
    "Active": "good",
    "Inactive": "quiet",
    "On Hold": "warn",
    "draft": "quiet",
    "confirmed": "info",
    "shipped": "info",
    "closed": "good",
    "cancelled": "bad",
    "streaming": "good",
    "snapshot": "info",
    "waiting": "warn",
    "stopped": "bad",
    "up": "good",
    "down": "bad",
}
"""Status word → tone; the word itself is always there beside the colour."""
_TONE_ICONS = {"good": "good", "warn": "warn", "bad": "bad", "info": "dot", "quiet": "dot"}


@register.simple_tag
def asset(path: str) -> str:
    """The address of a static file."""
    return assets().url(path)


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, label: str = "") -> SafeString:
    """An icon; with ``label`` it says something by itself, without it is decoration."""
    drawing = mark_safe(f'<path d="{ICONS[name]}"/>')
    if label:
        return format_html('<svg class="icon" viewBox="0 0 16 16" role="img" aria-label="{}">{}</svg>', label, drawing)
    return format_html('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{}</svg>', drawing)


@register.simple_tag
@lru_cache(maxsize=256)
def pill(status: Any, tone: str = "") -> SafeString:
    """A status as a word with a mark and a colour."""
    word = str(status or "unknown")
    tone = tone or TONES.get(word, "quiet")
    return format_html('<span class="pill {}">{}{}</span>', tone, icon(_TONE_ICONS[tone]), word[:1].upper() + word[1:])


@register.simple_tag
def ago(value: Any) -> SafeString:
    """A moment as its age; the moment itself on hover and focus."""
    found = formats.when(value)
    if found is None:
        return mark_safe(formats.UNKNOWN)
    return format_html(
        '<time datetime="{}" data-ago tabindex="0" data-tip="{}">{}</time>',
        found.isoformat(),
        formats.moment(found),
        formats.ago(found),
    )


@register.simple_tag
def copy_id(text: Any) -> SafeString:
    """An id that copies itself on click."""
    return format_html('<button type="button" class="copy-id" data-copy="{0}" aria-label="Copy {0}">{0}</button>', text)


@register.simple_tag
def href(object_type: str, key: Any) -> str:
    """The address of a record's page."""
    return record(object_type, key)


@register.simple_tag
def new_key() -> str:
    """An idempotency key for one filling of a form."""
    return str(uuid7())


@register.filter
def money(value: Any, currency: str = "") -> str:
    return formats.money(value, currency)


@register.filter
def number(value: Any) -> str:
    return formats.number(value)


@register.filter
def share(value: Any) -> str:
    return formats.share(value)


@register.filter
def day(value: Any) -> str:
    return formats.day(value)


@register.filter
def moment(value: Any) -> str:
    return formats.moment(value)


@register.filter
def or_dash(value: Any) -> Any:
    """Unknown is a dash."""
    return formats.UNKNOWN if value in (None, "") else value


@register.filter
def breakable(name: str) -> SafeString:
    """A name of several parts, whose lines may end after each dot."""
    return format_html_join(mark_safe(".<wbr>"), "{}", ((part,) for part in name.split(".")))


@register.inclusion_tag("components/freshness.html")
def freshness(found: Any) -> dict[str, Any]:
    """The chip that says how old a panel is (a ``web.freshness.Freshness``)."""
    return {"found": found, "iso": found.as_of.isoformat() if found.as_of else "", "text": formats.ago(found.as_of)}


@register.inclusion_tag("components/field.html")
def field(bound: Any) -> dict[str, Any]:
    """One labelled input of a form."""
    return {"f": bound}


@register.inclusion_tag("components/summary.html")
def errors(form: Any) -> dict[str, Any]:
    """What is wrong with a form, above it, each linked to its field."""
    return {"form": form}


@register.inclusion_tag("components/form_head.html", takes_context=True)
def form_head(context: Any, version: Any = None) -> dict[str, Any]:
    """The hidden fields that every form begins with: against forgery, for acting once, and the version seen."""
    return {"csrf_token": context.get("csrf_token"), "key": new_key(), "version": version}
