"""``up``, ``down``, and the two commands that they run: ``supervise`` and ``prepare``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from headwater import config, proc
from headwater.cli.errors import Refused
from headwater.state import PROJECT, Home, read_json
from headwater.supervisor.lock import Lock

WEB_TIMEOUT = 120.0
"""Seconds for every process that serves to answer once it was started. Alone one takes 2 s; where services stand apart,
twenty Python processes begin at once."""

STOP_TIMEOUT = 240.0
"""Seconds for an ordered stop; each process's own time-outs add up to less."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up_ = commands.add_parser("up", help="start everything; Ctrl-C stops it")
    up_.add_argument("--detach", action="store_true", help="return once it runs; `headwater down` stops it")
    up_.add_argument("--no-demo", action="store_true", help="start empty instead of loading the demo company once")
    up_.add_argument("--no-dagster", action="store_true", help="leave Dagster out (as HEADWATER_DAGSTER=off does)")
    up_.add_argument("--profile", choices=config.PROFILES, help="what carries the stream; chosen at the first start")
    up_.set_defaults(run=up)
    down_ = commands.add_parser("down", help="stop everything in order; data stay")
    down_.add_argument("--erase", action="store_true", help="then delete all data of this installation")
    down_.add_argument("--yes", action="store_true", help="do not ask before erasing")
    down_.set_defaults(run=down)
    # `up` starts it, nobody else; without a help text it is not listed.
    commands.add_parser("supervise").set_defaults(run=supervise)
    prepare_ = commands.add_parser("prepare", help="where others run the clusters: make databases, then marts")
    prepare_.add_argument("part", choices=("databases", "marts"))
    prepare_.set_defaults(run=prepare)


def up(given: argparse.Namespace) -> int:
    home = Home(config.home())
    if config.elsewhere() is not None:
        raise Refused(
            f"{' and '.join(config.ELSEWHERE)} name clusters that others run, and `up` runs its own. Run "
            "`headwater prepare databases`, `serve`, `work …` and `prepare marts`, as docker-compose.yml does."
        )
    if given.no_dagster:
        os.environ["HEADWATER_DAGSTER"] = "off"
    if given.profile:
        os.environ["HEADWATER_PROFILE"] = given.profile
    if home.config.exists():
        config.check_profile(config.read(home.root))
    _check_alerts()
    for asked in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal means the same as Ctrl-C
        signal.signal(asked, signal.default_int_handler)
    holder = Lock(home.run).holder()
    ours = None if holder else _spawn(home, with_us=not given.detach)
    if holder:
        print(f"Headwater already runs here (process {holder}).")
    try:
        _follow_start(home, ours)
        if ours is not None and ours.poll() is not None:
            ours = None  # another `up` was a moment faster
        _await_web(home)
        _first_load(home, declined=given.no_demo)
        print(addresses(home), flush=True)
        if given.detach or ours is None:
            return 0
        print("Ctrl-C stops everything.", flush=True)
        ours.wait()
    except KeyboardInterrupt:
        if ours is None:
            raise
        _stop(home, ours)
        return 0
    except Refused:
        if ours is not None and not given.detach:
            _stop(home, ours)
        raise
    if ours.returncode:
        raise Refused(f"the supervisor ended ({ours.returncode}); its log is {home.log('supervisor')}.")
    return 0


def _check_alerts() -> None:
    """Refuses wrong settings of the alerts now; whoever is to be woken at night must not find out then."""
    if not any(name.startswith(("HEADWATER_ALERT_", "HEADWATER_SMTP_")) for name in os.environ):
        return
    from pipelines.delivery import ChannelError, Channels

    try:
        Channels.of(os.environ)
    except ChannelError as error:
        raise Refused(str(error)) from error


def down(given: argparse.Namespace) -> int:
    home = Home(config.home())
    if given.erase and not given.yes:
        answer = input(f"Delete everything stored in {home.root}? Type yes: ") if sys.stdin.isatty() else ""
        if answer != "yes":
            raise Refused("nothing was deleted; confirm with `headwater down --erase --yes`.")
    lock = Lock(home.run)
    holder = lock.holder()
    if holder is not None:
        os.kill(holder, signal.SIGTERM)
        _follow_stop(home, holder)
        print("Headwater is stopped.")
    elif not home.root.exists():
        print("Nothing was ever started here.")
        return 0
    elif lock.acquire():
        from headwater.installation import stop_leftovers

        for sentence in stop_leftovers(home) or ["Headwater does not run."]:
            print(sentence)
        lock.release()
    if given.erase:
        home.erase()
        print(f"Deleted {home.root}.")
    return 0


def supervise(_: argparse.Namespace) -> int:
    from headwater.supervisor import run

    return run.main(Home(config.home()))


def prepare(given: argparse.Namespace) -> int:
    from headwater import prepare as preparation

    home = Home(config.home())
    if config.elsewhere() is not None:
        from headwater.installation import open_elsewhere

        open_elsewhere(home)
    getattr(preparation, given.part)(home)
    return 0


def addresses(home: Home) -> str:
    """Where to go next: addresses, the login, and the two commands to try."""
    from headwater.supervisor import layout

    settings = config.read(home.root)
    base = _public(settings)
    servers = [
        f"{'' if name == 'oltp' else f'{name} '}127.0.0.1:{server.port}"
        for name, server in settings.oltp_clusters().items()
    ]
    lines = [
        "",
        f"  Open       {base}/",
        f"  API        {base}/api/openapi.json",
        f"  Health     {base}/healthz",
        f"  OLTP       {'   '.join(servers)}   warehouse 127.0.0.1:{settings.warehouse.port}",
    ]
    if (spec := layout.dagster(home, settings)) is not None:
        lines.insert(3, f"  Pipelines  http://127.0.0.1:{spec.port}   (Dagster; takes some seconds more)")
    if home.login.exists():
        login = dict(line.split(": ", 1) for line in home.login.read_text().splitlines() if ": " in line)
        lines.append(f"  Login      {login.get('username')} / {login.get('password')}   (kept in {home.login})")
    lines += [f"  Demo       {line}" for line in demo_login(home)]
    lines += ["", f"  Try        {_program()} token --user admin      {_program()} status", ""]
    return "\n".join(lines)


def demo_login(home: Home) -> list[str]:
    """Whom of the demo company one can log in as, and with which password; nothing where it was not loaded."""
    if not home.demo_login.exists():
        return []
    login = dict(line.split(": ", 1) for line in home.demo_login.read_text().splitlines() if ": " in line)
    return [f"{login.get('people')} / {login.get('password')}   (kept in {home.demo_login})"]


def _program() -> str:
    """This command as a person in the working directory would type it."""
    typed = Path(sys.argv[0])
    if typed.name != "headwater":
        return "headwater"
    try:
        return str(typed.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(typed)


def _spawn(home: Home, *, with_us: bool) -> subprocess.Popen[bytes]:
    """Starts the supervisor in a session of its own; ``with_us`` lets it end when this process is killed."""
    from headwater.embedded.account import AccountError, unprivileged_account
    from headwater.supervisor.child import die_with_parent
    from headwater.supervisor.layout import command

    try:
        home.create(unprivileged_account())
    except (AccountError, OSError) as error:
        raise Refused(str(error)) from error
    with home.log("supervisor").open("ab") as log:
        return subprocess.Popen(
            command("supervise"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=PROJECT,
            env=dict(os.environ) | {"HEADWATER_HOME": str(home.root)},
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM) if with_us else None,
        )


def _stop(home: Home, supervisor: subprocess.Popen[bytes]) -> None:
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # impatience must not leave half of it running
        signal.signal(asked, signal.SIG_IGN)
    if supervisor.poll() is None:
        print("\nStopping …", flush=True)
        supervisor.terminate()
        _follow_stop(home, supervisor.pid)
        supervisor.wait()
        print("Headwater is stopped.", flush=True)


def _follow_start(home: Home, supervisor: subprocess.Popen[bytes] | None) -> None:
    """Prints each stage until everything was started. Raises Refused with the supervisor's reason if it failed."""
    lock, shown, heard = Lock(home.run), "", 0
    while True:
        ended = supervisor is not None and supervisor.poll() is not None
        holder = lock.holder()
        state = read_json(home.supervisor)
        if state.get("pid") in {holder, supervisor and supervisor.pid} - {None}:
            for sentence in state.get("said", [])[heard:]:
                print(f"  ! {sentence}", flush=True)
            heard = max(heard, len(state.get("said", [])))
            stage = state.get("stage", "")
            if state["state"] == "failed":
                raise Refused(stage)
            if stage and stage != shown:
                print(f"  · {stage}", flush=True)
                shown = stage
            if state["state"] == "running":
                return
        if ended and holder is None:
            raise Refused(f"the supervisor ended unexpectedly; its log is {home.log('supervisor')}.")
        time.sleep(0.05)


def _follow_stop(home: Home, supervisor: int) -> None:
    shown, deadline = "", time.monotonic() + STOP_TIMEOUT
    lock = Lock(home.run)
    while lock.holder() == supervisor or proc.alive(supervisor):
        state = read_json(home.supervisor)
        stage = state.get("stage", "")
        if state.get("pid") == supervisor and state.get("state") == "stopping" and stage != shown:
            print(f"  · {stage}", flush=True)
            shown = stage
        if time.monotonic() > deadline:
            raise Refused(f"process {supervisor} still stops after {STOP_TIMEOUT:.0f} s; see {home.log('supervisor')}.")
        if lock.holder() not in (None, supervisor):
            return
        time.sleep(0.05)


def _await_web(home: Home) -> None:
    """Waits until every process that people and programs are to reach answers its health check."""
    settings = config.read(home.root)
    ports = {"web": settings.web_port, **settings.service_ports}
    asked = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    if settings.gateway_port:
        asked["gateway"] = _public(settings)
    deadline = time.monotonic() + WEB_TIMEOUT
    for name, base in asked.items():
        _await_answer(home, name, f"{base}/healthz", deadline)


def _public(settings: config.Config) -> str:
    """Where this machine reaches everything."""
    from headwater.gateway import process

    return process.address(settings) if settings.gateway_port else f"http://127.0.0.1:{settings.web_port}"


def _await_answer(home: Home, process: str, url: str, deadline: float) -> None:
    import urllib.error  # takes 6 MB, which the supervisor (it passes through this module) can do without
    import urllib.request

    from headwater.gateway.asking import trusting

    reason, context = "", trusting()
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context):
                return
        except (urllib.error.URLError, OSError) as error:
            reason = str(error)
        if Lock(home.run).holder() is None:
            raise Refused(f"the supervisor ended; its log is {home.log('supervisor')}.")
        time.sleep(0.05)
    words = "\n".join(home.log(process).read_text(errors="replace").splitlines()[-5:])
    raise Refused(f"{url} gave no answer in {WEB_TIMEOUT:.0f} s ({reason}); ask `headwater doctor`.\n{words}")


def _first_load(home: Home, *, declined: bool) -> None:
    """Loads the demo company once in the life of an installation, and goes on where a killed load stopped."""
    from headwater import companies

    if declined:
        companies.decline_demo(home)
    elif companies.demo_is_wanted(home):
        print("  · loading the demo company", flush=True)
        os.environ["HEADWATER_HOME"] = str(home.root)
        companies.load_demo(home)
