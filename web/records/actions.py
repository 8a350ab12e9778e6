"""Smart buttons: what can be done with a record now, and why the rest cannot; the forms that some of them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse

from transactional.kernel.problems import Problem
from web import errors
from web.answers import Crumb, Toast, Undo, go, part
from web.commands import run, seen_version
from web.forms import Field, Form
from web.records.source import Record
from web.requests import PageRequest


@dataclass(frozen=True)
class Action:
    """A button. ``label`` is its verb; ``done`` what the toast says.

    ``fields`` make it ask first, as ``sure`` does (what cannot be taken back); everything else is done at once, and
    ``undo`` names the action that takes it back. ``refusal`` says of a record why it cannot be done (None: it can);
    ``on`` is the kind of record that the command acts upon where it is not the page's. ``as_reason`` is the field that
    goes along as the change's reason instead of into the command.
    """

    name: str
    label: str
    command: str
    done: str
    refusal: Callable[[Record], str | None]
    target: str
    fields: tuple[Field, ...] = ()
    sure: str = ""
    undo: str = ""
    tone: str = ""
    as_reason: str = ""
    undo_fields: Callable[[Record], Mapping[str, str]] | None = None


@dataclass(frozen=True)
class Button:
    """An action as the page shows it; ``why_not`` is empty where it can be used."""

    action: Action
    url: str
    why_not: str
    version: int

    @property
    def asks(self) -> bool:
        return bool(self.action.fields or self.action.sure)


@dataclass(frozen=True)
class Actions:
    """The actions of one kind of record. ``read`` gives the record that the commands act upon, for its version."""

    page: str
    read: Callable[[PageRequest, UUID, Action], Record]
    actions: tuple[Action, ...]
    names: Callable[[Record], str]

    def buttons(self, request: PageRequest, record: Record, *, only: Sequence[str] = ()) -> list[Button]:
        """What the reader's roles include: usable, or with the reason why not. What does not fit the record's state at
        all (releasing what is not held) is left out."""
        found = []
        for action in self.actions:
            if not request.reader.may(action.command) or (only and action.name not in only):
                continue
            why_not = record.silent or action.refusal(record)
            if why_not == "":
                continue
            if why_not is None and action.command not in record.actions:
                why_not = "You can read this record, not change it."
            found.append(Button(action, f"{self.page}/{record.key}/do/{action.name}", why_not or "", record.version))
        return found

    def view(self, request: PageRequest, key: UUID, name: str) -> HttpResponse:
        """The form of an action that asks (GET), or doing it (POST)."""
        action = next((found for found in self.actions if found.name == name), None)
        if action is None or not request.reader.may(action.command):
            return errors.absent(request)
        record = self.read(request, key, action)
        if request.method != "POST":
            return self._ask(request, record, action, Form.of(action.fields))
        form = Form.sent(action.fields, request.POST)
        payload = form.payload()
        if payload is None:
            return self._ask(request, record, action, form, status=422)
        reason = str(payload.pop(action.as_reason)) if payload.get(action.as_reason) else None
        try:
            answer = run(
                request,
                action.command,
                {action.target: str(key), **payload},
                version=seen_version(request),
                reason=reason,
            )
        except Problem as problem:
            if problem.status in (401, 404):
                raise
            if problem.code == "stale_version":
                form.general.append("Somebody changed the record meanwhile. Look at it once more, then try again.")
            else:
                form.refuse(problem)
            return self._ask(request, self.read(request, key, action), action, form, status=problem.status)
        return go(request, f"{self.page}/{key}", toast=self._toast(record, action, answer.version))

    def _toast(self, record: Record, action: Action, version: int | None) -> Toast:
        undo = None
        if action.undo:
            fields = dict(action.undo_fields(record)) if action.undo_fields else {}
            undo = Undo(f"{self.page}/{record.key}/do/{action.undo}", {**fields, "version": str(version or "")})
        return Toast(action.done.format(self.names(record)), undo=undo)

    def _ask(
        self, request: PageRequest, record: Record, action: Action, form: Form, *, status: int = 200
    ) -> HttpResponse:
        page = f"{self.page}/{record.key}"
        context: dict[str, Any] = {
            "action": action,
            "url": f"{page}/do/{action.name}",
            "cancel": page,
            "form": form,
            "version": record.version,
            "name": self.names(record),
        }
        title = f"{action.label}: {self.names(record)}"
        crumbs = [Crumb(self.names(record), page), Crumb(action.label)]
        return part(request, "records/ask.html", context, title=title, crumbs=crumbs, status=status)
