"""The dispatch and jobs workers of this installation, and the repair of a source's dispatch."""

from __future__ import annotations

from cdc.sources.slot import SlotSource
from headwater.config import current, home
from headwater.provision.oltp import DISPATCH, setup_django
from headwater.provision.stream import dispatch_sources
from headwater.state import Home
from pipelines.dispatch import repair, worker
from pipelines.runtime import Heartbeat, Stop


def dispatch() -> None:
    """Dispatches the outboxes of every source until SIGTERM or SIGINT."""
    config, place = current(), Home(home())
    stop = Stop().on_signals()
    sources = [
        SlotSource(
            source.name,
            source.dsn,
            slot=source.slot,
            publications=[DISPATCH],
            spool_dir=place.root / "spool" / "dispatch",
        )
        for source in dispatch_sources(config)
    ]
    heartbeat = Heartbeat(place.heartbeat("dispatch"), "dispatch")
    worker.run(sources, config.stream_url("hw_dispatch"), heartbeat, stop)


def jobs() -> None:
    """Applies the deliveries of every service hosted here until SIGTERM or SIGINT."""
    config, place = current(), Home(home())
    stop = Stop().on_signals()
    setup_django()
    from django.conf import settings

    from transactional.kernel import jobs as kernel_jobs

    stream_dsns = {service: config.stream_url(f"hw_{service}") for service in settings.HEADWATER_SERVICES}
    kernel_jobs.run(stream_dsns, Heartbeat(place.heartbeat("jobs"), "jobs"), stop)


def repair_dispatch(source: str) -> repair.Repaired:
    """Makes the source's dispatch slot anew and delivers what its outboxes hold; ``source`` is one of the config's."""
    config = current()
    found = next(candidate for candidate in dispatch_sources(config) if candidate.name == source)
    return repair.repair(source, found.dsn, config.stream_url("hw_dispatch"), slot=found.slot, publication=DISPATCH)
