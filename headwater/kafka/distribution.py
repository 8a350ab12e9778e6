"""The jars of the Kafka profile: fetched by name with Maven, each held to a committed checksum, shared by all homes.

``python -m headwater.kafka.distribution`` fetches them; it needs nothing but Python, Java and Maven.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from headwater.kafka.errors import KafkaError
from headwater.state import PROJECT

POM = Path(__file__).with_name("pom.xml")
CHECKSUMS = Path(__file__).with_name("jars.sha256")
REGISTRY = "apicurio-registry-app-2.6.13.Final-all.tar.gz"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"

# The converter's jar lacks the entry by which Connect finds plugins (``plugin.discovery=service_load``).
SERVICES_JAR = "headwater-services.jar"
CONVERTER_SERVICE = "META-INF/services/org.apache.kafka.connect.storage.Converter"
CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A directory of checked jars: ``lib`` for broker, Connect and Debezium (one class path serves all of them, 64 MB),
    ``registry`` for the schema registry (143 MB packed), which Avro alone needs."""

    place: Path

    @property
    def lib(self) -> Path:
        return self.place / "lib"

    @property
    def registry(self) -> Path:
        return self.place / "registry"

    def classpath(self) -> str:
        """Every jar by name and in order, because a class data archive holds for one exact class path.

        Raises KafkaError if they were not fetched.
        """
        if not self.lib.exists():
            raise KafkaError(
                f"Kafka's jars are not in {self.lib}. Run `python -m headwater.kafka.distribution` in the environment; "
                "it needs Java 17 and Maven."
            )
        return os.pathsep.join(str(jar) for jar in sorted(self.lib.glob("*.jar")))

    def fetch(self) -> None:
        """Brings ``lib`` here unless it stands. Raises KafkaError for a jar that is missing, unknown or another one."""
        with _alone(self.place):
            if self.lib.exists():
                return
            with _partial(self.place) as partial:
                _maven(f"{PLUGIN}:copy-dependencies", "-f", POM, "-DincludeScope=runtime", into=partial)
                check(partial, {name: digest for name, digest in checksums().items() if name.endswith(".jar")})
                with zipfile.ZipFile(partial / SERVICES_JAR, "w") as jar:
                    jar.writestr(zipfile.ZipInfo(CONVERTER_SERVICE), CONVERTER)
                partial.rename(self.lib)

    def fetch_registry(self) -> None:
        """Brings ``registry`` here unless it stands. Raises KafkaError as ``fetch`` does."""
        with _alone(self.place):
            if self.registry.exists():
                return
            version = REGISTRY.removeprefix("apicurio-registry-app-").removesuffix("-all.tar.gz")
            artifact = f"io.apicurio:apicurio-registry-app:{version}:tar.gz:all"
            with _partial(self.place) as packed, _partial(self.place) as unpacked:
                _maven(f"{PLUGIN}:copy", f"-Dartifact={artifact}", into=packed)
                check(packed, {REGISTRY: checksums()[REGISTRY]})
                with tarfile.open(packed / REGISTRY) as archive:
                    archive.extractall(unpacked, filter="data")
                unpacked.rename(self.registry)


def distribution() -> Distribution:
    """This version's: ``HEADWATER_JARS`` or the checkout's ``build/jars``, in a directory named after the checksums."""
    root = Path(os.environ.get("HEADWATER_JARS") or PROJECT / "build" / "jars").resolve()
    return Distribution(root / hashlib.sha256(CHECKSUMS.read_bytes()).hexdigest()[:12])


@cache
def checksums() -> dict[str, str]:
    """File name → SHA-256 in hexadecimal, as ``sha256sum`` writes them."""
    return {name: digest for digest, name in (line.split() for line in CHECKSUMS.read_text().splitlines())}


def check(directory: Path, wanted: dict[str, str]) -> None:
    """Raises KafkaError that names every file of ``directory`` which is missing, too many, or not the one wanted."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
    problems = [
        *(f"{name} is missing" for name in sorted(wanted.keys() - found.keys())),
        *(f"{name} is not in the list" for name in sorted(found.keys() - wanted.keys())),
        *(
            f"{name} has SHA-256 {found[name]} instead of {wanted[name]}"
            for name in sorted(wanted.keys() & found.keys())
            if found[name] != wanted[name]
        ),
    ]
    if problems:
        raise KafkaError(
            f"What Maven brought is not what {CHECKSUMS.name} names: {'; '.join(problems)}. Nothing was installed. "
            "Delete the artifact from Maven's local repository and fetch again; if it stays so, whoever serves it "
            "serves something else."
        )


@cache
def java() -> Path:
    """The ``java`` of JAVA_HOME or of the path. Raises KafkaError if there is none, or one older than 17."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        where = f"JAVA_HOME ({home})" if home else "the path"
        raise KafkaError(f"The Kafka profile needs Java 17 or newer, and {where} has none. Install a headless JRE 17.")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < 17:
        raise KafkaError(f"The Kafka profile needs Java 17 or newer; {found} says: {said.strip()}")
    return Path(found)


def _maven(goal: str, *arguments: str | Path, into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaError("Kafka's jars are fetched with Maven, and the path has no `mvn`. Install Maven 3.8 or newer.")
    java()
    done = subprocess.run(
        [maven, "-B", "-q", "-Dstyle.color=never", goal, *map(str, arguments), f"-DoutputDirectory={into}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=into,
    )
    if done.returncode:
        words = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("[ERROR]")]
        raise KafkaError("Maven could not fetch Kafka's jars:\n" + "\n".join(words[:8] or [done.stdout[-2000:]]))


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Two that want the same jars at once: the second waits and finds them there."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _partial(place: Path) -> Iterator[Path]:
    partial = Path(tempfile.mkdtemp(dir=place))
    partial.chmod(0o755)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def main() -> int:
    found = distribution()
    try:
        found.fetch()
        found.fetch_registry()
    except KafkaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
