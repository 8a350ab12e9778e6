"""The addresses of search: what is offered while one types, and the page that Enter opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import path

from search.answer import Answer, Group, Hit
from search.entities import BY_NAME
from search.errors import EngineUnavailable, IndexMissing, QueryRefused
from search.read import find
from web.addresses import record
from web.answers import Crumb, part, show
from web.freshness import Freshness
from web.pages import page
from web.requests import PageRequest

OFFERED = 4
"""Hits of each group under the search box."""
ON_PAGE = 8
IN_ONE_GROUP = 50
NAMES = {
    "account": ("Accounts", "building", "/accounts"),
    "contact": ("Contacts", "person", "/contacts"),
    "product": ("Products", "box", "/products"),
    "order": ("Orders", "receipt", "/orders"),
}
"""Entity → what its group is called, its icon, its list."""


@dataclass(frozen=True)
class Found:
    """A hit as it is shown: where its page is, and what status it has."""

    hit: Hit
    url: str
    icon: str
    status: str

    @property
    def side(self) -> str:
        """What stands beside the title where there is one line for both."""
        repeats = not self.hit.number or self.hit.number == self.hit.title.text
        return self.hit.subtitle.text if repeats else self.hit.number


@dataclass(frozen=True)
class Section:
    """``more`` is the address of the whole group, or "" where all of it is here; ``list_url`` the list it is in."""

    name: str
    label: str
    total: str
    found: Sequence[Found]
    more: str
    list_url: str


@page()
def suggest(request: PageRequest) -> HttpResponse:
    """Options for what has been typed so far; ``in`` says which list they go to, so that their ids do not meet."""
    answer, said = _find(request, OFFERED)
    context = {
        "query": request.GET.get("q", ""),
        "sections": _sections(answer),
        "said": said,
        "place": "palette" if request.GET.get("in") == "palette" else "finder",
        "results": f"/search?{urlencode({'q': request.GET.get('q', '')[:500]})}",
    }
    return part(request, "finding/suggestions.html", context, title="Search")


@page()
def results(request: PageRequest) -> HttpResponse:
    entity = request.GET.get("in", "")
    entity = entity if entity in BY_NAME else ""
    answer, said = _find(request, IN_ONE_GROUP if entity else ON_PAGE, entity)
    query = " ".join(request.GET.get("q", "").split())[:500]
    group = answer.group(entity) if answer is not None and entity else None
    context = {
        "query": query,
        "entity": NAMES[entity][0].lower() if entity else "",
        "everything": f"/search?{urlencode({'q': query})}",
        "further": _further(query, group),
        "answer": answer,
        "sections": _sections(answer, query),
        "said": said,
        "fresh": _freshness(answer, request),
        "meant": [(text, f"/search?{urlencode({'q': text})}") for text in (answer.suggestions if answer else ())],
    }
    title = f"{query} · Search" if query else "Search"
    return show(request, "finding/results.html", context, title=title, crumbs=(Crumb("Search"),))


def _find(request: PageRequest, limit: int, entity: str = "") -> tuple[Answer | None, str]:
    """The answer, or the sentence that says why there is none."""
    text = request.GET.get("q", "")
    if not text.strip():
        return None, ""
    after = request.GET.get("after") if entity else None
    try:
        found = find(
            request.reader.principal, text, entities=[entity] if entity else None, limit=limit, after=after or None
        )
    except QueryRefused as refused:
        return None, f"This cannot be searched for: the query {refused}." if refused.field == "q" else str(refused)
    except IndexMissing:
        return None, "The search index is being built. Try again in a moment."
    except EngineUnavailable:
        return None, "Search gives no answer at the moment. Lists and records are not affected."
    return found, ""


def _sections(answer: Answer | None, query: str = "") -> list[Section]:
    return [_section(group, query) for group in answer.groups] if answer is not None else []


def _section(group: Group, query: str) -> Section:
    label, icon, list_url = NAMES[group.entity]
    resource = BY_NAME[group.entity].resource
    found = [Found(hit, record(resource, hit.id), icon, hit.facts.get("status", "")) for hit in group.hits]
    more = f"/search?{urlencode({'q': query, 'in': group.entity})}" if query and group.total > len(group.hits) else ""
    total = f"{'about ' if group.estimated else ''}{group.total:,}"
    return Section(group.entity, label, total, found, more, list_url)


def _further(query: str, group: Group | None) -> str:
    if group is None or group.after is None:
        return ""
    return f"/search?{urlencode({'q': query, 'in': group.entity, 'after': group.after})}"


def _freshness(answer: Answer | None, request: PageRequest) -> Freshness | None:
    """Search says what it has indexed; while a write of the reader's own is not among it, the chip says so."""
    if answer is None or not answer.watermark:
        return None
    marks = {mark.source: mark.lsn for mark in answer.watermark if mark.lsn is not None}
    known = [mark.committed_at for mark in answer.watermark if mark.committed_at is not None]
    updating = not request.reader.positions.passed_by(marks)
    return Freshness(min(known) if known else None, updating) if updating else None


urlpatterns = [path("search", results), path("search/suggest", suggest)]
