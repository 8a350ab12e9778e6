"""What a run writes to the installation's log: what went wrong. All of it stands in Dagster's storage, with the run."""

import logging
from typing import Final

from dagster import InitLoggerContext, LoggerDefinition


def _terse(_: InitLoggerContext) -> logging.Logger:
    made = logging.Logger("dagster.run", logging.WARNING)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    made.addHandler(handler)
    return made


TERSE: Final = {"console": LoggerDefinition(_terse, description="Warnings and errors of runs, a line each.")}
