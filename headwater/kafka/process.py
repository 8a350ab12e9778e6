"""What broker, Connect workers and registry have in common: a Java process in a directory of its own."""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from headwater.kafka.distribution import Distribution, java
from headwater.state import write_text
from headwater.supervisor.child import Spec

LOGGING = Path(__file__).with_name("log4j2.properties")

STOP_TIMEOUT = 30.0
"""Seconds for a JVM to end when asked; a worker hands its tasks over and a broker its log, which take up to five."""


def make_directory(directory: Path) -> None:
    """The process's directory, and an empty one in it for what a JVM unpacks, which it leaves there if it is killed."""
    shutil.rmtree(_unpacked(directory), ignore_errors=True)
    _unpacked(directory).mkdir(parents=True, exist_ok=True)


def _unpacked(directory: Path) -> Path:
    return directory / "unpacked"


def command(
    jars: Distribution, main: str, *arguments: str | Path, directory: Path, heap_mb: int, quick: bool
) -> list[str]:
    """The command line of the class ``main``. ``heap_mb`` bounds the heap; ``quick`` compiles with C1 alone, which
    starts sooner and takes less memory, and streams half as many events a second (11–14k instead of 27k)."""
    return [
        str(java()),
        "-Xms32m",
        f"-Xmx{heap_mb}m",
        "-XX:MaxDirectMemorySize=64m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        *(["-XX:TieredStopAtLevel=1"] if quick else []),
        f"-Dlog4j2.configurationFile={LOGGING}",
        f"-Djava.io.tmpdir={_unpacked(directory)}",
        "-cp",
        jars.classpath(),
        main,
        *map(str, arguments),
    ]


def spec(name: str, argv: list[str], directory: Path, log: Path, port: int, environment: Mapping[str, str]) -> Spec:
    """Another process with the same data still ending is waited for: its locks would refuse this one."""
    return Spec(
        name=name,
        argv=argv,
        log=log,
        environment={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", **environment},
        directory=directory,
        stop_timeout=STOP_TIMEOUT,
        port=port,
        home_of_data=directory,
    )


def write_properties(path: Path, settings: Mapping[str, object]) -> None:
    """A Java properties file that its owner alone can read; of what Java reads otherwise, values hold ``\\`` alone."""
    lines = (f"{name}={str(value).replace(chr(92), chr(92) * 2)}" for name, value in settings.items())
    write_text(path, "\n".join([*lines, ""]))


def answers(port: int, path: str, timeout: float = 2.0) -> bool:
    """Whether a GET on the loopback port is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
