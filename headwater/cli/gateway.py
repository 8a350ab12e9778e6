"""``gateway``: the configuration of the nginx that stands in front of the services."""

from __future__ import annotations

import argparse
import os
import re
import signal
from pathlib import Path

from headwater import config
from headwater.cli.errors import Refused


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from headwater.gateway.nginx import Gateway

    gateway_ = commands.add_parser("gateway", help="write the nginx configuration for the services as they are hosted")
    gateway_.add_argument("--to", type=Path, metavar="FILE", help="default: print it")
    gateway_.add_argument("--listen", default=Gateway.listen, help="port or address:port (default %(default)s)")
    gateway_.add_argument("--web", metavar="URL", help="the web process, if it runs elsewhere")
    gateway_.add_argument("--rate", type=int, default=Gateway.rate, help="requests a second from one address")
    gateway_.add_argument("--logins", type=int, default=Gateway.logins, help="logins a minute from one address")
    gateway_.add_argument("--certificate", type=Path, metavar="FILE", help="for TLS, with --key")
    gateway_.add_argument("--key", type=Path, metavar="FILE")
    gateway_.add_argument("--access-log", default=Gateway.access_log, metavar="FILE", help="default: %(default)s")
    gateway_.add_argument(
        "--reload", action="store_true", help="where it is one of our processes: its configuration anew, no pause"
    )
    gateway_.set_defaults(run=gateway)


def gateway(given: argparse.Namespace) -> int:
    from headwater.gateway.nginx import Gateway, configuration
    from headwater.gateway.registry import registry

    if given.reload:
        return _reload()
    if (given.certificate is None) != (given.key is None):
        raise Refused("give both of --certificate and --key, or neither.")
    if not re.fullmatch(r"((\d{1,3}\.){3}\d{1,3}:|\[[0-9a-fA-F:]+\]:)?\d{1,5}", given.listen):
        raise Refused(f"--listen must be a port or address:port, not {given.listen!r}.")
    if given.rate < 1 or given.logins < 1:
        raise Refused("--rate and --logins must be 1 or more.")
    text = configuration(
        Gateway(
            registry(config.current(), given.web),
            listen=given.listen,
            certificate=given.certificate and str(given.certificate.resolve()),
            key=given.key and str(given.key.resolve()),
            rate=given.rate,
            logins=given.logins,
            access_log=given.access_log,
        )
    )
    if given.to is None:
        print(text, end="")
        return 0
    given.to.parent.mkdir(parents=True, exist_ok=True)
    partial = given.to.with_name(f".{given.to.name}.partial")
    partial.write_text(text)
    partial.replace(given.to)
    print(f"Wrote {given.to}. Check it with `nginx -t -p DIRECTORY -c {given.to.resolve()}`.")
    return 0


def _reload() -> int:
    from headwater.cli.running import running
    from headwater.gateway import process
    from headwater.state import read_json

    home = running()
    settings = config.current()
    if not settings.gateway_port:
        raise Refused("no gateway runs here: one process hosts every service.")
    pid = read_json(home.supervisor).get("processes", {}).get(process.NAME, {}).get("pid")
    if pid is None:
        raise Refused(f"the gateway does not run; its log is {home.log(process.NAME)}.")
    written = process.renew(home, settings)
    os.kill(pid, signal.SIGHUP)
    print(f"Wrote {written}; process {pid} takes it.")
    return 0
