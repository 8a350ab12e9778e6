"""Commands that work on a running system ask for it here."""

from __future__ import annotations

from headwater import config
from headwater.cli.errors import Refused
from headwater.state import Home
from headwater.supervisor.lock import Lock


def running() -> Home:
    """The home of the system that runs here. Raises Refused if none does."""
    home = Home(config.home())
    if config.elsewhere() is not None:
        return home  # whoever runs the clusters runs the processes, too
    if Lock(home.run).holder() is None:
        raise Refused(f"nothing runs in {home.root}; start it with `headwater up`.")
    return home
