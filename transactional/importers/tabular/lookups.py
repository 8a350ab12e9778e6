"""From what files call other rows to their ids, found many at a time and remembered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from transactional.importers.tabular.converting import near
from transactional.importers.tabular.errors import MappingError
from transactional.importers.tabular.mapping import Rules
from transactional.importers.tabular.targets import Target
from transactional.kernel.context import Context
from transactional.kernel.references import ids_by_field, ids_by_key, some_keys
from transactional.kernel.registry import resource_named

_REMEMBERED = 200_000
"""Ids kept in memory for each kind of lookup (about 30 MB); then it begins anew."""
_SUGGESTED_FROM = 5_000
_SUGGESTIONS = 200
"""Unknown names for which a similar one is looked for."""

Kind = tuple[str, str | None, str]
"""Target, field (None: by key), source."""


class Lookups:
    def __init__(self, rules: Rules, known: dict[str, Target], ctx: Context) -> None:
        self.rules = rules
        self.ctx = ctx
        self._targets = known
        self._found: dict[Kind, dict[str, UUID]] = defaultdict(dict)
        self._choices: dict[Kind, list[str]] = {}
        self._suggested = 0
        self._check()

    def _check(self) -> None:
        """Every lookup leads to rows that are there to be found. Raises MappingError."""
        faults = []
        groups = [self.rules.fields, *self.rules.lists.values()]
        for path, (rule, kind) in [item for group in groups for item in group.items()]:
            name = rule.lookup or kind.reference
            if not name or rule.value is not None:
                continue
            if name not in self._targets:
                faults.append(f"{path}: there is no target {name!r} to look up; known: {', '.join(self._targets)}.")
            elif rule.by is not None and rule.by not in self._fields_of(name):
                faults.append(f"{path}: {name} has no field {rule.by!r} (fields: {', '.join(self._fields_of(name))}).")
        if faults:
            raise MappingError(self.rules.name, faults)

    def _fields_of(self, target: str) -> list[str]:
        spec = resource_named(self._targets[target].spec.resource)
        columns = {f.name for f in spec.model._meta.concrete_fields}
        return [name for name, info in spec.view.model_fields.items() if name in columns and info.annotation is str]

    def kind(self, target: str, by: str | None, source: str | None) -> Kind:
        return (target, by, "" if by else source or self.rules.mapped.source)

    def find(self, kind: Kind, names: Iterable[str]) -> dict[str, UUID | str]:
        """Each name's id, or the sentence that says why it has none."""
        target, by, source = kind
        wanted = set(names)
        remembered = self._found[kind]
        if len(remembered) > _REMEMBERED:
            remembered.clear()
        missing = wanted - remembered.keys()
        answers: dict[str, UUID | str] = {}
        spec = resource_named(self._targets[target].spec.resource)
        if missing and by is None:
            remembered |= ids_by_key(spec, source, missing, self.ctx)
        elif missing and by is not None:
            for name, ids in ids_by_field(spec, by, missing, self.ctx).items():
                if len(ids) == 1:
                    remembered[name] = ids[0]
                else:
                    answers[name] = f"{len(ids)} {target} have this {by}: name the one that is meant by its key."
        for name in wanted:
            if name in remembered:
                answers[name] = remembered[name]
            else:
                called = f"no {by} of" if by else f"no key of {source} among"
                answers.setdefault(name, f"it is {called} the {target} that are known.")
        return answers

    def advice(self, kind: Kind, name: str) -> str:
        """A similar name that is known, for the first few hundred that are not."""
        target, by, source = kind
        if by is not None or self._suggested >= _SUGGESTIONS:
            return f"Import it into {target} first, or say with values what is meant."
        self._suggested += 1
        if kind not in self._choices:
            spec = resource_named(self._targets[target].spec.resource)
            self._choices[kind] = some_keys(spec, source, _SUGGESTED_FROM, self.ctx)
        return near(name, self._choices[kind]) or f"Import it into {target} first, or say with values what is meant."
