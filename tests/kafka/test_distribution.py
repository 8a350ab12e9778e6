"""What Maven brings is held to the committed checksums, file by file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from headwater.kafka import distribution as jars
from headwater.kafka.distribution import Distribution, checksums, distribution
from headwater.kafka.errors import KafkaError


def test_what_is_installed_is_what_the_list_names() -> None:
    lib = distribution().lib
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in lib.iterdir()}
    assert found.pop(jars.SERVICES_JAR)
    assert found == {name: digest for name, digest in checksums().items() if name.endswith(".jar")}


def test_a_jar_that_is_another_one_missing_or_too_many_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"changed on the way")
    (tmp_path / "c.jar").write_bytes(b"")
    with pytest.raises(KafkaError) as refused:
        jars.check(tmp_path, {"a.jar": "0" * 64, "b.jar": "0" * 64})
    said = str(refused.value)
    assert "a.jar has SHA-256" in said
    assert "b.jar is missing" in said
    assert "c.jar is not in the list" in said


def test_a_wrong_checksum_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = checksums() | {"kafka-clients-4.3.1.jar": "0" * 64}
    monkeypatch.setattr(jars, "checksums", lambda: wrong)
    with pytest.raises(KafkaError, match=r"kafka-clients-4\.3\.1\.jar has SHA-256"):
        Distribution(tmp_path / "jars").fetch()
    assert [path.name for path in (tmp_path / "jars").iterdir()] == [".lock"]


def test_jars_that_were_not_fetched_say_how(tmp_path: Path) -> None:
    with pytest.raises(KafkaError, match=r"python -m headwater\.kafka\.distribution"):
        Distribution(tmp_path).classpath()


def test_a_machine_without_java_or_maven_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars.java.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    try:
        with pytest.raises(KafkaError, match="`mvn`"):
            Distribution(tmp_path / "jars").fetch()
        with pytest.raises(KafkaError, match="Java 17"):
            jars.java()
        old = tmp_path / "java"
        old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
        old.chmod(0o755)
        with pytest.raises(KafkaError, match=r"11\.0\.2"):
            jars.java()
    finally:
        jars.java.cache_clear()
