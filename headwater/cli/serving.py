"""``serve`` and ``work``: one process of the system in the foreground, as the supervisor starts them."""

from __future__ import annotations

import argparse
import os

from headwater import config
from headwater.cli.errors import Refused
from headwater.state import Home

PAGES = "web"
"""The pages and the read side, which every process answers; by itself it hosts no service."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from headwater.workers import KAFKA_WORKERS, WORKERS

    workers = sorted(WORKERS | KAFKA_WORKERS)

    def worker(given: str) -> str:
        if given.partition("-")[0] not in workers:
            raise argparse.ArgumentTypeError(f"there is no worker {given!r}; there are {', '.join(workers)}")
        return given

    def process(given: str) -> str:
        return given if given in (PAGES, "gateway", *config.SERVICES) else worker(given)

    serve_ = commands.add_parser("serve", help="host services over HTTP (all, or those named; web: the pages alone)")
    serve_.add_argument("service", nargs="*", help=f"of {', '.join((PAGES, *config.SERVICES))}")
    serve_.add_argument("--port", type=int, help="default: the installation's web port")
    serve_.set_defaults(run=serve)
    work_ = commands.add_parser("work", help="run one worker in the foreground")
    work_.add_argument(
        "worker", type=worker, help=f"{', '.join(workers)}; landing-2 joins landing, jobs-SERVICE has one service"
    )
    work_.set_defaults(run=work)
    health_ = commands.add_parser("health", help="whether one process is well, for a container's health check")
    health_.add_argument("process", type=process, help="web, gateway, a service or a worker")
    health_.set_defaults(run=health)


def serve(given: argparse.Namespace) -> int:
    unknown = sorted(set(given.service) - {PAGES, *config.SERVICES})
    if unknown:
        raise Refused(f"there is no service {', '.join(unknown)}; there are {', '.join(config.SERVICES)}.")
    if given.service:
        os.environ["HEADWATER_SERVICES"] = ",".join(name for name in given.service if name != PAGES)
    from headwater.web import serve as serve_web

    serve_web(given.port or config.current().web_port)
    return 0


def health(given: argparse.Namespace) -> int:
    """What answers over HTTP by its own answer, a worker by its heartbeat; an outage elsewhere is no illness."""
    from headwater.health import illness

    found = illness(Home(config.home()), given.process)
    print(found or f"{given.process} is well.")
    return 3 if found else 0


def work(given: argparse.Namespace) -> int:
    from headwater.workers import run

    run(given.worker)
    return 0
