"""Why a command stops, in words for the person who typed it."""

from __future__ import annotations


class Refused(Exception):
    """The command cannot do what was asked; the message says why and what to do."""


# Named and not imported: most commands need few of the modules that define them.
_SPEAKING = {
    "headwater.backup.errors.BackupError",
    "headwater.cli.errors.Refused",
    "headwater.config.ConfigError",
    "headwater.embedded.account.AccountError",
    "headwater.embedded.postgres.ClusterError",
    "headwater.kafka.errors.KafkaError",
    "headwater.prepare.PreparationError",
    "headwater.splitting.errors.SplitError",
    "headwater.supervisor.hold.NotHeld",
    "headwater.web.PortTaken",
    "cdc.errors.StreamError",
    "pipelines.landing.errors.LandingError",
    "search.errors.SearchError",
    "warehouse.analysts.AnalystError",
    "warehouse.compile.DbtError",
    "warehouse.lake.errors.LakeError",
}
_OUTAGES = {"psycopg.OperationalError", "django.db.utils.OperationalError"}


def sentence(error: BaseException) -> str | None:
    """What to tell the person about an error that speaks for itself; None for a fault in the program."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & _SPEAKING:
        return str(error)
    if names & _OUTAGES:
        return f"a database gives no answer ({str(error).strip()}); ask `headwater doctor`."
    return None
