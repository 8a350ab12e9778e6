"""Ports: chosen free at first start and remembered; taken by somebody else meanwhile, chosen anew."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from headwater.config import Config

# Below the kernel's range for outgoing connections (32768 and up on Linux), which takes any port there at any moment.
RANGE = range(20000, 30000)
WEB = 8000


def is_free(port: int) -> bool:
    """Whether this process could listen on the loopback port; a port that merely lingers in TIME_WAIT is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Claims:
    """Ports that this process keeps for its installation from the choice on, before and between their use.

    A server binds its port seconds after the choice, and granian binds with SO_REUSEPORT: two installations that chose
    the same one would share it, each answering half of the other's requests. So whoever uses a port first claims its
    name in the kernel's table of abstract sockets, which lets go of it when the process ends, however it ends.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def claim(self, port: int) -> bool:
        """Whether the port is free, or was claimed here before, and is this process's from now on."""
        if port in self._held:
            return True
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0headwater-port-{port}")
        except OSError:
            name.close()
            return False
        if not is_free(port):
            name.close()
            return False
        self._held[port] = name
        return True

    def release(self) -> None:
        for name in self._held.values():
            name.close()
        self._held.clear()


def candidates(home: Path, name: str) -> Iterator[int]:
    """Ports to try, in an order of the home's own, so that two checkouts seldom want the same one."""
    if name in ("web", "gateway"):
        yield WEB
    digest = hashlib.sha256(f"{home}:{name}".encode()).digest()
    start = int.from_bytes(digest[:4], "big") % len(RANGE)
    for step in range(len(RANGE)):
        yield RANGE[(start + step) % len(RANGE)]


def choose(home: Path, name: str, claims: Claims, taken: Collection[int] = ()) -> int:
    """A port for ``name`` (as ``of`` has them), now claimed, that is none of ``taken``."""
    for port in candidates(home, name):
        if port not in taken and claims.claim(port):
            return port
    raise OSError(f"No loopback port between {RANGE.start} and {RANGE.stop} is free for {name}.")


def of(config: Config) -> dict[str, int]:
    return {
        "oltp": config.oltp.port,
        "warehouse": config.warehouse.port,
        "web": config.web_port,
        "dagster": config.dagster_port,
        **config.kafka_ports,
        **{name: server.port for name, server in config.clusters.items()},
        **config.service_ports,
        **({"gateway": config.gateway_port} if config.gateway_port else {}),
    }


def settle(config: Config, claims: Claims) -> tuple[Config, list[str]]:
    """The configuration with every taken port chosen anew, and a sentence for each. All its ports are now claimed.

    Our own processes are stopped.
    """
    ports, said = of(config), []
    for name, port in ports.items():
        if not port:  # an older version had no such process
            ports[name] = choose(Path(config.home), name, claims, set(ports.values()))
        elif not claims.claim(port):
            others = {other for key, other in ports.items() if key != name}
            ports[name] = choose(Path(config.home), name, claims, others)
            said.append(f"Port {port} of {name} is taken by another program; {name} moved to {ports[name]}.")
    moved = replace(
        config,
        oltp=replace(config.oltp, port=ports["oltp"]),
        warehouse=replace(config.warehouse, port=ports["warehouse"]),
        web_port=ports["web"],
        dagster_port=ports["dagster"],
        kafka_ports={name: ports[name] for name in config.kafka_ports},
        clusters={name: replace(server, port=ports[name]) for name, server in config.clusters.items()},
        service_ports={name: ports[name] for name in config.service_ports},
        gateway_port=ports.get("gateway", 0),
    )
    return moved, said
