"""The code location: ``pipelines.defs`` with this installation's databases and folders."""

from __future__ import annotations

from headwater.config import current, home
from headwater.dagster.plant import plant
from headwater.state import Home
from pipelines.defs import definitions

defs = definitions(plant(Home(home()), current()))
