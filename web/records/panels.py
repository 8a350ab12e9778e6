"""Panels: blocks of a page that come from the read side, each read, aged, failed and tried again by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.template.loader import render_to_string

from policy.problems import Problem
from web import errors
from web.answers import part
from web.freshness import Freshness, freshness
from web.requests import PageRequest

log = logging.getLogger(__name__)
Watermark = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """``read`` gives what ``template`` shows, and its watermark. ``lines``: how tall it is before that."""

    name: str
    title: str
    permission: str
    template: str
    read: Callable[[PageRequest, UUID], tuple[Mapping[str, Any], Watermark]]
    lines: int = 4
    of_totals: bool = False

    def context(self, request: PageRequest, page: str, key: UUID) -> dict[str, Any]:
        """Raises Problem where it cannot be read."""
        found, watermark = self.read(request, key)
        return {**found, **self.place(page, key), "fresh": self.age(request, watermark), "key": key}

    def place(self, page: str, key: UUID) -> dict[str, Any]:
        return {
            "panel_id": f"panel-{self.name}",
            "title": self.title,
            "src": f"{page}/{key}/panels/{self.name}",
            "lines": self.lines,
        }

    def age(self, request: PageRequest, watermark: Watermark) -> Freshness:
        marks = watermark
        if self.of_totals:
            marks = {
                s: {"lsn": m["totals_lsn"], "as_of": m["totals_as_of"], "whole": m["whole"]}
                for s, m in watermark.items()
            }
        return freshness(marks, request.reader.positions)


@dataclass(frozen=True)
class Panels:
    """The panels of one kind of record, whose pages are below ``page``."""

    page: str
    panels: tuple[Panel, ...]

    def view(self, request: PageRequest, key: UUID, name: str) -> HttpResponse:
        """One panel, for the script; on a page of its own for whoever comes without it."""
        panel = self._named(name)
        if panel is None or not request.reader.may(panel.permission):
            return errors.absent(request)
        context = panel.context(request, self.page, key) | {"more": request.GET.get("after", "")}
        return part(request, panel.template, context, title=panel.title)

    def inline(self, request: PageRequest, key: UUID, names: Iterable[str]) -> list[str]:
        """The HTML of these panels for the page itself. One that cannot be read says so in its place; once the read
        side has given no answer the others load by themselves, so that the page does not wait for each."""
        found: list[str] = []
        silent = False
        for panel in filter(None, map(self._named, names)):
            if not request.reader.may(panel.permission):
                continue
            if silent:
                found.append(self._later(request, panel, key))
                continue
            try:
                found.append(render_to_string(panel.template, panel.context(request, self.page, key), request))
            except Problem as problem:
                silent = problem.status == 503
                found.append(self._failed(request, panel, key, problem.status))
            except Exception:
                log.exception("panel %s of %s/%s failed", panel.name, self.page, key)
                found.append(self._failed(request, panel, key, 500))
        return found

    def later(self, request: PageRequest, key: UUID, name: str) -> str:
        """The HTML of a panel that loads after the page."""
        panel = self._named(name)
        assert panel is not None, name
        return self._later(request, panel, key) if request.reader.may(panel.permission) else ""

    def _named(self, name: str) -> Panel | None:
        return next((panel for panel in self.panels if panel.name == name), None)

    def _later(self, request: PageRequest, panel: Panel, key: UUID) -> str:
        return render_to_string("components/panel_later.html", panel.place(self.page, key), request)

    def _failed(self, request: PageRequest, panel: Panel, key: UUID, status: int) -> str:
        return render_to_string("records/panel_failed.html", {**panel.place(self.page, key), "status": status}, request)
