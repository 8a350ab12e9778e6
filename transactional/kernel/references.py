"""External references the other way round: from what a thing is called elsewhere, or by a field, to its id here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from policy.decide import may
from transactional.kernel.bulk import ReferenceKey
from transactional.kernel.context import Context
from transactional.kernel.models import ExternalReference
from transactional.kernel.problems import Forbidden
from transactional.kernel.registry import ResourceSpec


def resolve(ctx: Context, resource: str, keys: Iterable[ReferenceKey]) -> dict[ReferenceKey, UUID]:
    """The ids of those ``keys`` that name a row of ``resource`` in the running command's service."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        by_source[key.source].append(key.key)
    found: dict[ReferenceKey, UUID] = {}
    for source, names in by_source.items():
        for name, resource_id in _known(ctx.service, resource, source, names):
            found[ReferenceKey(source=source, key=name)] = resource_id
    return found


def ids_by_key(spec: ResourceSpec, source: str, keys: Iterable[str], caller: Context) -> dict[str, UUID]:
    """The ids of the rows that ``source`` calls by these keys, for a caller outside of any command; Forbidden."""
    _permitted(spec, caller)
    return dict(_known(spec.service, spec.name, source, list(keys)))


def ids_by_field(spec: ResourceSpec, field: str, values: Iterable[str], caller: Context) -> dict[str, list[UUID]]:
    """The ids of the visible rows whose ``field`` has one of these values, several where it is not unique."""
    ctx = _permitted(spec, caller)
    found: dict[str, list[UUID]] = defaultdict(list)
    rows = spec.model.objects.visible_to(ctx).filter(**{f"{field}__in": list(values)})
    for value, key in rows.values_list(field, "pk"):
        found[str(value)].append(key)
    return found


def some_keys(spec: ResourceSpec, source: str, limit: int, caller: Context) -> list[str]:
    """Some of the keys that ``source`` has for rows of a resource: to suggest one where a key is unknown."""
    _permitted(spec, caller)
    known = ExternalReference.objects.using(spec.service).filter(source=source, resource=spec.name)
    return list(known.values_list("key", flat=True)[:limit])


def _known(service: str, resource: str, source: str, names: list[str]) -> Iterable[tuple[str, UUID]]:
    known = ExternalReference.objects.using(service).filter(source=source, resource=resource, key__in=names)
    return known.values_list("key", "resource_id")


def _permitted(spec: ResourceSpec, caller: Context) -> Context:
    if not may(caller.actor.roles, spec.permission):
        raise Forbidden(f"{caller.actor.name} lacks the permission {spec.permission}.")
    return caller.running(service=spec.service, name=spec.permission, permission=spec.permission)
