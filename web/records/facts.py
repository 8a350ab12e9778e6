"""Facts of a record that are edited where they stand: how each is shown, typed, and which command changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from bi.addresses import one_line
from transactional.kernel.problems import Problem
from web import errors, formats
from web.answers import Toast, Undo, go, part
from web.commands import run, seen_version
from web.forms import Field, Form
from web.records.conflicts import who_changed
from web.records.source import Record
from web.requests import PageRequest, is_fragment

TITLE = "records/title.html"
"""How a record's name is shown: as the heading of its page."""
Options = Sequence[tuple[str, str]]
SEEN = "seen"
"""The field of the form that keeps what the value was when the person began to edit it."""


@dataclass(frozen=True)
class Placed(Field):
    """A field whose id no other record's field on the page has."""

    place: str = ""

    @property
    def id(self) -> str:
        return f"{super().id}-{self.place}"


@dataclass(frozen=True)
class Fact:
    """One fact: ``fields`` are its inputs (several for an address), ``command`` changes it.

    ``shown`` gives its text; ``values`` what the inputs begin with (the record's data unless given); ``options`` what
    there is to choose from; ``adapt`` turns what the inputs gave into the command's input. ``link`` is the address of
    the thing that the fact names.
    """

    name: str
    label: str
    command: str
    fields: tuple[Field, ...]
    shown: Callable[[Record], str | None]
    values: Callable[[Record], Mapping[str, Any]] | None = None
    options: Callable[[PageRequest, Record], Options] | None = None
    adapt: Callable[[PageRequest, Record, dict[str, Any]], dict[str, Any]] | None = None
    link: Callable[[Record], str] | None = None
    figure: bool = False
    wide: bool = False
    template: str = "records/fact.html"

    def inputs(self, request: PageRequest, record: Record) -> list[Field]:
        """The inputs with what there is to choose from, and with ids of this record's own."""
        options = None if self.options is None else list(self.options(request, record))
        return [
            Placed(
                **{
                    **vars(found),
                    "options": found.options if options is None else options,
                    "place": record.key.hex[-8:],
                }
            )
            for found in self.fields
        ]

    def begin(self, request: PageRequest, record: Record) -> Form:
        return Form.of(self.inputs(request, record), self.values(record) if self.values else record.data)


def text(name: str, label: str, command: str, **more: Any) -> Fact:
    """A fact that is one line of text."""
    return Fact(name, label, command, (Field(name, label, **more),), lambda record: record.data.get(name))


def amount(name: str, label: str, command: str, **more: Any) -> Fact:
    """A fact that is money of the record's currency."""

    def shown(record: Record) -> str | None:
        value = record.data.get(name)
        return None if value is None else f"{formats.money(value, record.data['currency'])} {record.data['currency']}"

    return Fact(name, label, command, (Field(name, label, "amount", **more),), shown, figure=True)


def day(name: str, label: str, command: str, **more: Any) -> Fact:
    return Fact(
        name,
        label,
        command,
        (Field(name, label, "date", hint="Such as 3 Apr or 3/4", **more),),
        lambda record: formats.day(record.data[name]) if record.data.get(name) else None,
    )


def choice(name: str, label: str, command: str, values: Sequence[str], **more: Any) -> Fact:
    input = Field(name, label, "select", options=[(value, in_sentence(value)) for value in values], **more)
    return Fact(name, label, command, (input,), lambda record: in_sentence(record.data[name]))


def in_sentence(word: str) -> str:
    return word[:1].upper() + word[1:]


ADDRESS_PARTS = (
    ("line1", "Street", 200),
    ("line2", "Second line", 200),
    ("city", "City", 200),
    ("region", "Region", 200),
    ("postal_code", "Postal code", 20),
    ("country", "Country code", 2),
)


def address(name: str, label: str, command: str) -> Fact:
    inputs = tuple(Field(f"{name}.{part}", words, max_length=longest) for part, words, longest in ADDRESS_PARTS)
    return Fact(name, label, command, inputs, lambda record: one_line(record.data.get(name)), wide=True)


def nothing_more(record: Record) -> list[Fact]:
    return []


@dataclass(frozen=True)
class Facts:
    """The facts of one kind of record. ``target`` is the command's field with the record's id; ``read`` reads it.

    ``page`` is where records of the kind have their pages; a record's facts are below its page, at ``below``. ``more``
    are facts that only this record has: a customer's own fields.
    """

    kind: str
    target: str
    page: str
    read: Callable[[PageRequest, UUID], Record]
    facts: tuple[Fact, ...]
    below: str = "facts"
    more: Callable[[Record], list[Fact]] = nothing_more

    def find(self, record: Record, name: str) -> Fact | None:
        return next((fact for fact in (*self.facts, *self.more(record)) if fact.name == name), None)

    def shown(self, record: Record, *names: str) -> list[dict[str, Any]]:
        """What the template shows of the facts of these names; of all of them unless named."""
        facts = [*self.facts, *self.more(record)]
        return [self.context(record, fact) for fact in facts if not names or fact.name in names]

    def address(self, record: Record, fact: Fact) -> str:
        return f"{self.page}/{record.key}/{self.below}/{fact.name}"

    def context(self, record: Record, fact: Fact) -> dict[str, Any]:
        """What ``records/fact.html`` shows."""
        editable = fact.command in record.actions and not record.silent
        return {
            "fact_id": self.id(record, fact),
            "label": fact.label,
            "shown": fact.shown(record),
            "edit": f"{self.address(record, fact)}?edit=yes" if editable else "",
            "figure": fact.figure,
            "wide": fact.wide,
            "link": fact.link(record) if fact.link else "",
            "template": fact.template,
        }

    def id(self, record: Record, fact: Fact) -> str:
        return f"{self.kind}-{record.key}-{fact.name}"

    def view(self, request: PageRequest, key: UUID, name: str) -> HttpResponse:
        """One fact: as it stands, its form (``?edit=yes``), or what came of sending that."""
        record = self.read(request, key)
        fact = self.find(record, name)
        if fact is None:
            return errors.absent(request)
        if request.method == "POST":
            return _save(request, self, record, fact)
        if "edit" in request.GET and fact.command in record.actions:
            return _form(request, self, record, fact, fact.begin(request, record))
        return part(request, fact.template, self.context(record, fact), title=fact.label)


def _save(request: PageRequest, facts: Facts, record: Record, fact: Fact) -> HttpResponse:
    form = Form.sent(fact.inputs(request, record), request.POST)
    before = fact.begin(request, record)
    version = seen_version(request)
    payload = form.payload(empty=True)
    if payload is None:
        return _form(request, facts, record, fact, form)
    if version is not None and version != record.version and _seen(before) == request.POST.get(SEEN):
        # Somebody changed another fact of the record meanwhile: this one is as the person saw it.
        version = record.version
    try:
        if fact.adapt is not None:
            payload = fact.adapt(request, record, payload)
        run(request, fact.command, {facts.target: str(record.key), **payload}, version=version)
    except Problem as problem:
        if problem.code == "stale_version":
            conflict = {
                "theirs": fact.shown(record),
                "version": record.version,
                "who": who_changed(request, facts.kind, record.key, fact.name),
            }
            return _form(request, facts, record, fact, form, conflict=conflict, status=409)
        if problem.status in (401, 404):
            raise
        form.refuse(problem)
        return _form(request, facts, record, fact, form, status=problem.status)
    saved = facts.read(request, record.key)
    toast = _toast(facts, saved, fact, before)
    if is_fragment(request):
        return part(request, fact.template, facts.context(saved, fact), title=fact.label, toast=toast)
    return go(request, f"{facts.page}/{record.key}", toast=toast)


def _toast(facts: Facts, saved: Record, fact: Fact, before: Form) -> Toast | None:
    """What was done, with the way back: the same form with what stood there before."""
    after = Form.of([bound.field for bound in before.fields], fact.values(saved) if fact.values else saved.data)
    if _seen(after) == _seen(before):
        return None
    fields = {bound.field.name: bound.text for bound in before.fields}
    undo = Undo(facts.address(saved, fact), {**fields, "version": str(saved.version), SEEN: _seen(after)})
    return Toast(f"{fact.label} {'changed' if fact.shown(saved) else 'removed'}.", undo=undo)


def _form(
    request: PageRequest,
    facts: Facts,
    record: Record,
    fact: Fact,
    form: Form,
    *,
    conflict: Mapping[str, Any] | None = None,
    status: int = 0,
) -> HttpResponse:
    context = {
        "fact_id": facts.id(record, fact),
        "label": fact.label,
        "heading": fact.template == TITLE,
        "mine": ", ".join(filter(None, (bound.text for bound in form.fields))),
        "action": facts.address(record, fact),
        "cancel": facts.address(record, fact) if is_fragment(request) else f"{facts.page}/{record.key}",
        "form": form,
        "version": record.version if not form.typed else seen_version(request),
        "seen": _seen(fact.begin(request, record)) if not form.typed else request.POST.get(SEEN, ""),
        "conflict": conflict,
        "wide": fact.wide,
    }
    return part(
        request,
        "records/fact_form.html",
        context,
        title=f"Edit {fact.label.lower()}",
        status=status or (200 if form.valid else 422),
    )


def _seen(form: Form) -> str:
    """What the inputs began with, to tell whether this very fact was changed by somebody else."""
    return "\n".join(bound.text for bound in form.fields)
