"""External references the other way round: from what a thing is called elsewhere to its id here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from transactional.kernel.bulk import ReferenceKey
from transactional.kernel.context import Context
from transactional.kernel.models import ExternalReference


def resolve(ctx: Context, resource: str, keys: Iterable[ReferenceKey]) -> dict[ReferenceKey, UUID]:
    """The ids of those ``keys`` that name a row of ``resource`` in the running command's service."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        by_source[key.source].append(key.key)
    found: dict[ReferenceKey, UUID] = {}
    for source, names in by_source.items():
        known = ExternalReference.objects.using(ctx.service).filter(source=source, resource=resource, key__in=names)
        for name, resource_id in known.values_list("key", "resource_id"):
            found[ReferenceKey(source=source, key=name)] = resource_id
    return found
