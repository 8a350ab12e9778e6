"""How a command of the ``headwater`` program acts on the services: in its own process, as the administrator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import UUID

from headwater.cli.errors import Refused

if TYPE_CHECKING:
    from transactional.kernel.context import Context

ADMINISTRATOR = "admin"


def host_every_service() -> None:
    """Loads Django with all services in this process, whichever the installation's web process hosts."""
    os.environ.pop("HEADWATER_SERVICES", None)
    from headwater.provision.oltp import setup_django

    setup_django()


def user_id(username: str) -> UUID:
    """The id of an active user. Raises Refused for a name that nobody active has."""
    host_every_service()
    from transactional.identity.models import UserAccount

    user = UserAccount.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Refused(f"there is no active user {username!r}.")
    found: UUID = user.pk
    return found


def as_administrator(reason: str) -> Context:
    """A context for ``invoke`` and ``fetch`` with every right; ``reason`` stands in the audit of what it does.

    Raises Refused where there is no such user, or is none any more.
    """
    administrator_id = user_id(ADMINISTRATOR)
    from transactional.identity.models import UserAccount
    from transactional.identity.tokens import issue, principal_of
    from transactional.kernel.context import Context

    administrator = UserAccount.objects.get(pk=administrator_id)
    return Context(actor=principal_of(administrator), reason=reason, token=issue(administrator))
