"""The supervisor's life: lock, clusters, preparation, workers, watch, ordered stop."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from cdc.failpoints import reach
from headwater import fingerprint, ports
from headwater.config import Config, ConfigError
from headwater.embedded.account import AccountError
from headwater.embedded.postgres import ClusterError
from headwater.embedded.probe import accepts
from headwater.installation import clusters, open_or_create, stop_leftovers
from headwater.kafka.broker import accepts as kafka_accepts
from headwater.kafka.distribution import distribution
from headwater.kafka.errors import KafkaError
from headwater.migration.state import pending
from headwater.state import Home, write_json
from headwater.supervisor import following, layout, logs
from headwater.supervisor.child import Child, Spec
from headwater.supervisor.hold import lock_of
from headwater.supervisor.kinds import kind
from headwater.supervisor.lock import Lock
from headwater.supervisor.signals import Signals

FAILPOINTS = (
    "supervisor.before_clusters",
    "supervisor.before_prepare",
    "supervisor.after_prepare",
    "supervisor.before_workers",
    "supervisor.running",
    "supervisor.stopping",
)

LOOK = 30.0
"""Seconds between looks at the size of the logs when nothing else happens."""

PREPARATIONS = 3
"""How often a preparation is begun that a database's death ends."""

READY_TIMEOUT = 120.0
"""Seconds for a cluster to take connections; recovery after a loss of power replays WAL first."""


class Failed(Exception):
    """The installation cannot start; the message is for the person who started it."""


class Stopped(Exception):
    """Somebody asked to stop while the installation was still starting."""


class Supervisor:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.signals = Signals()
        self.claims = ports.Claims()
        self.children: dict[str, Child] = {}
        self.state = self.stage = ""
        self.said: list[str] = []
        self._looked = 0.0
        self._followed: following.Stamp | None = None
        self._leaving: list[Child] = []

    def run(self) -> int:
        """Runs until told to stop (0), or until the start fails (1, with the reason in supervisor.json)."""
        try:
            self._start()
        except Stopped:
            pass
        except (Failed, ConfigError, AccountError, ClusterError, KafkaError, OSError) as error:
            self._stop_all()
            self._report("failed", str(error))
            return 1
        while not self.signals.stop:
            self.signals.wait(self._until_due(LOOK))
            self._tend()
        self._stop_all()
        self._report("stopped")
        return 0

    def _start(self) -> None:
        self._report("starting", "looking for what an earlier run left behind")
        self.said += stop_leftovers(self.home)
        config, said = open_or_create(self.home, self.claims)
        self.said += said
        if (move := pending(self.home)) is not None:
            self.said.append(str(move))
        self._report("starting", "starting PostgreSQL")
        reach("supervisor.before_clusters")
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda cluster: cluster.init(), clusters(self.home, config)))
        for spec in layout.databases(self.home, config):
            self._launch(spec)
        self._await_cluster("oltp")
        unprepared = fingerprint.changed(self.home, "databases")
        for name in config.clusters:
            with self._unless(unprepared, "The services that live there wait for it; the others go on."):
                self._await_cluster(name)
        with self._unless(unprepared, "Writes go on without the warehouse, and reach it when it is back."):
            self._await_cluster("warehouse")
        if unprepared:
            reach("supervisor.before_prepare")
            self._prepare("databases")
            reach("supervisor.after_prepare")
        if config.kafka_ports:
            self._start_kafka(config)
        self._report("starting", "starting web and workers")
        reach("supervisor.before_workers")
        for spec in (*layout.servers(self.home, config), *layout.workers(self.home, config)):
            self._launch(spec)
        # The marts stand on the mirror, which landing makes; the hot lane runs the SQL that building them compiles.
        if fingerprint.changed(self.home, "marts") and accepts(config.warehouse.port):
            with self._unless(False, "The marts stay as they are; mend the cause, then `headwater rebuild`."):
                self._prepare("marts")
        self._launch(layout.refresh(self.home))
        self._report("running")
        if (dagster := layout.dagster(self.home, config)) is not None:
            self._launch(dagster)
        reach("supervisor.running")

    def _start_kafka(self, config: Config) -> None:
        """Broker, then Connect. A worker that comes up before its broker answers ends, and is restarted."""
        self._report("starting", "fetching Kafka and Debezium, once")
        distribution().fetch()
        self._report("starting", "starting Kafka and Connect")
        broker, *connect = layout.kafka(self.home, config)
        child = self._launch(broker)
        deadline = time.monotonic() + READY_TIMEOUT
        while not kafka_accepts(broker.port or 0):
            self._step(0.05)
            if child.failures:
                raise Failed(f"Kafka ended at start.\n{tail(broker)}")
            if time.monotonic() > deadline:
                raise Failed(f"Kafka took no connection in {READY_TIMEOUT:.0f} s; see {broker.log}.")
        for spec in connect:
            self._launch(spec)

    @contextmanager
    def _unless(self, fatal: bool, consolation: str) -> Iterator[None]:
        """Turns a failure of the read side into a sentence, because nobody's order may wait for a report."""
        try:
            yield
        except Failed as failure:
            if fatal:
                raise
            self.said.append(f"{failure}\n{consolation}")
            self._log(self.said[-1])

    def _launch(self, spec: Spec) -> Child:
        child = Child(spec)
        self.children[spec.name] = child
        child.start()
        self._report()
        return child

    def _await_cluster(self, name: str, *, again: bool = False) -> None:
        """Until the cluster takes connections. Its first start must not fail; ``again``, restarts are waited for."""
        child = self.children[name]
        port = child.spec.port or 0
        deadline = time.monotonic() + READY_TIMEOUT
        while not accepts(port):
            self._step(0.05)
            if child.failures and not again:
                taken = "" if ports.is_free(port) else f" Port {port} was taken meanwhile; start again for another."
                raise Failed(f"PostgreSQL ({name}) ended at start.{taken}\n{tail(child.spec)}")
            if time.monotonic() > deadline:
                raise Failed(f"PostgreSQL ({name}) took no connection in {READY_TIMEOUT:.0f} s; see {child.spec.log}.")

    def _prepare(self, part: str) -> None:
        """Runs ``headwater prepare PART`` to its end; again if a database died under it. It records what it did."""
        self._report("starting", f"preparing the {part}")
        for attempt in range(PREPARATIONS):
            before = self._deaths()
            failure = self._run_preparation(part)
            if failure is None:
                return
            if self._deaths() == before or attempt == PREPARATIONS - 1:
                raise failure
            for name in [name for name, child in self.children.items() if child.spec.account]:
                self._await_cluster(name, again=True)

    def _deaths(self) -> int:
        return sum(
            child.restarts + (child.state != "running") for child in self.children.values() if child.spec.account
        )

    def _run_preparation(self, part: str) -> Failed | None:
        child = Child(layout.worker(self.home, "prepare", "prepare", part))
        child.start()
        assert child.process is not None
        try:
            while child.process.poll() is None:
                self._step(1.0)
        finally:
            code = child.process.poll()
            child.stop()
        return Failed(f"Preparing the {part} failed.\n{tail(child.spec)}") if code else None

    def _step(self, timeout: float) -> None:
        """One round while starting: waits at most ``timeout`` seconds, then looks after the children."""
        self.signals.wait(self._until_due(timeout))
        if self.signals.stop:
            raise Stopped
        self._tend()

    def _until_due(self, longest: float) -> float:
        if self._leaving or any(child.state == "held" for child in self.children.values()):
            longest = min(longest, 1.0)
        now = time.monotonic()
        return min([longest, *(child.due - now for child in self.children.values() if child.state == "waiting")])

    def _tend(self) -> None:
        changed = False
        for child in self.children.values():
            if child.ended():
                changed = True
                self._log(f"{child.spec.name} ended ({child.last_exit}); restart {child.restarts + 1} follows")
        if self.signals.hurry:
            self.signals.hurry = False
            for child in self.children.values():
                child.hurry()
        changed |= self._follow()
        for child in self.children.values():
            changed |= self._hold(child)
        for child in self.children.values():
            if child.restart_if_due():
                changed = True
                if child.spec.account:
                    self._hurry_when_ready(child)
        changed |= self._see_off()
        if changed:
            self._report()
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            for name in (*self.children, "supervisor"):
                with suppress(OSError):  # a full disk must not end the supervisor
                    logs.rotate(self.home.log(name))

    def _hold(self, child: Child) -> bool:
        """Stops a child that a command holds, starts it again afterwards; whether either happened."""
        stood_still = child.state == "held"
        if self._is_wanted(child) == stood_still:
            return False
        if stood_still:
            # Said before it is started: a command that takes it just now either reads this or is seen here.
            child.state = "stopped"
            self._report()
        if not stood_still or self._is_wanted(child):
            child.stop()
            child.state = "held"
        else:
            child.start()
        self._log(f"{child.spec.name} is {child.state}")
        return True

    def _is_wanted(self, child: Child) -> bool:
        names = {child.spec.name, kind(child.spec.name)}
        return any(lock_of(self.home, name).holder() is not None for name in names)

    def _follow(self) -> bool:
        """Starts and stops what a move between profiles brings and takes away; whether anything changed."""
        found = following.stamp(self.home)
        if self.state != "running" or found == self._followed:
            return False
        self._followed = found
        try:
            wanted = {spec.name: spec for spec in following.processes(self.home)}
        except (ConfigError, KafkaError, OSError) as error:
            self._log(f"the processes stay as they are: {error}")
            return False
        new = [spec for name, spec in wanted.items() if name not in self.children]
        old = [name for name in self.children if kind(name) in following.KINDS and name not in wanted]
        for spec in new:
            self._launch(spec)
        # In the order of a stop: a broker that goes before its Connect workers is waited for by them.
        self._leaving += [self.children.pop(name) for kinds in layout.STOP_ORDER for name in old if kind(name) in kinds]
        return bool(new or old)

    def _see_off(self) -> bool:
        """Stops what is not needed any more, one after the other, while everything else goes on; whether one ended."""
        if not self._leaving:
            return False
        child = self._leaving[0]
        child.ask_to_stop()
        overdue = time.time() - child.since > child.spec.stop_timeout
        if child.process is not None and child.process.poll() is None and not overdue:
            return False
        child.stop()
        self._log(f"{child.spec.name} is not needed any more")
        self._leaving.remove(child)
        return True

    def _hurry_when_ready(self, database: Child) -> None:
        """A database is back: workers that failed for want of it need not wait any longer."""
        deadline = time.monotonic() + 5
        while not accepts(database.spec.port or 0) and time.monotonic() < deadline:
            if database.process is None or database.process.poll() is not None:
                return
            time.sleep(0.02)
        self.signals.hurry = True

    def _stop_all(self) -> None:
        for child in self._leaving:
            child.stop()
        for kinds in layout.STOP_ORDER:
            together = sorted(
                (child for name, child in self.children.items() if kind(name) in kinds),
                key=lambda child: kinds.index(kind(child.spec.name)),
            )
            if not together:
                continue
            self._report("stopping", f"stopping {', '.join(child.spec.name for child in together)}")
            for child in together:
                child.ask_to_stop()
            for child in together:
                child.stop()
                self._log(f"{child.spec.name} stopped {child.last_exit}".rstrip())
            reach("supervisor.stopping")

    def _report(self, state: str | None = None, stage: str | None = None) -> None:
        if state is not None:
            self.state, self.stage = state, stage or ""
            self._log(f"{self.state}: {self.stage}" if self.stage else self.state)
        content = {
            "pid": os.getpid(),
            "state": self.state,
            "stage": self.stage,
            "said": self.said,
            "since": time.time(),
            "processes": {child.spec.name: child.describe() for child in (*self.children.values(), *self._leaving)},
        }
        with suppress(OSError):  # a full disk must not end the supervisor
            write_json(self.home.supervisor, content)

    def _log(self, sentence: str) -> None:
        with suppress(OSError):
            print(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), sentence, flush=True)


def tail(spec: Spec, lines: int = 15) -> str:
    try:
        text = "\n".join(spec.log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        text = ""
    return f"{text}\n(whole log: {spec.log})"


def main(home: Home) -> int:
    """``python -m headwater supervise``: started by ``headwater up``, never by hand."""
    lock = Lock(home.run)
    if not lock.acquire():
        print(f"Another supervisor (process {lock.holder()}) runs in {home.root}.", file=sys.stderr)
        return 3
    try:
        return Supervisor(home).run()
    finally:
        lock.release()
