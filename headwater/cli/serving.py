"""``serve`` and ``work``: one process of the system in the foreground, as the supervisor starts them."""

from __future__ import annotations

import argparse
import os

from headwater import config
from headwater.cli.errors import Refused


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from headwater.workers import WORKERS

    serve_ = commands.add_parser("serve", help="host services over HTTP (all, or those named)")
    serve_.add_argument("service", nargs="*", help=f"of {', '.join(config.SERVICES)}")
    serve_.add_argument("--port", type=int, help="default: the installation's web port")
    serve_.set_defaults(run=serve)
    work_ = commands.add_parser("work", help="run one worker in the foreground")
    work_.add_argument("worker", choices=sorted(WORKERS))
    work_.set_defaults(run=work)


def serve(given: argparse.Namespace) -> int:
    unknown = sorted(set(given.service) - set(config.SERVICES))
    if unknown:
        raise Refused(f"there is no service {', '.join(unknown)}; there are {', '.join(config.SERVICES)}.")
    if given.service:
        os.environ["HEADWATER_SERVICES"] = ",".join(given.service)
    from headwater.web import serve as serve_web

    serve_web(given.port or config.current().web_port)
    return 0


def work(given: argparse.Namespace) -> int:
    from headwater.workers import run

    run(given.worker)
    return 0
