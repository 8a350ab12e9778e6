"""The Dockerfile: what it copies exists, the environment comes from hashes, nobody is root, no secret is baked in."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from headwater.state import PROJECT


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments), continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (PROJECT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word]


def test_only_instructions_that_docker_knows(instructions: list[tuple[str, str]]) -> None:
    known = {"FROM", "ENV", "WORKDIR", "RUN", "COPY", "LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT"}
    assert {word for word, _ in instructions} <= known | {"CMD"}
    assert instructions[0][0] == "FROM"


def test_what_is_copied_exists_and_is_let_through(instructions: list[tuple[str, str]]) -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "nothing goes to the builder that is not named"
    for word, rest in instructions:
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                assert (PROJECT / source).exists(), source
                assert f"!{source}" in ignored, f"{source} is copied and .dockerignore keeps it out"


def test_every_room_is_in_the_image(instructions: list[tuple[str, str]]) -> None:
    copied = {rest.split()[0] for word, rest in instructions if word == "COPY" and not rest.startswith("--from")}
    project = (PROJECT / "pyproject.toml").read_text()
    listed = re.search(r"\[tool\.setuptools\.packages\.find\]\ninclude = \[(.*?)\]", project, re.DOTALL)
    assert listed is not None
    assert {name.rstrip("*") for name in re.findall(r'"([a-z]+\*)"', listed[1])} <= copied


def test_packages_come_from_hashes_alone(instructions: list[tuple[str, str]]) -> None:
    for word, rest in instructions:
        if word == "RUN":
            for install in re.findall(r"pip install (.*?)(?:&&|$)", rest):
                assert "--require-hashes" in install or "--no-deps" in install, install
    for lock in ("requirements.lock", "requirements-build.lock"):
        text = (PROJECT / lock).read_text()
        packages = re.findall(r"^[a-z0-9].*==", text, re.MULTILINE | re.IGNORECASE)
        assert packages
        assert text.count("--hash=sha256:") >= len(packages)


def test_stages_and_account(instructions: list[tuple[str, str]]) -> None:
    bases = [rest.split()[0] for word, rest in instructions if word == "FROM"]
    assert len(bases) == 2
    assert all(base.startswith("python:") and "slim" in base for base in bases)
    users = [rest for word, rest in instructions if word == "USER"]
    assert users == ["headwater"]
    last = max(n for n, (word, _) in enumerate(instructions) if word == "USER")
    assert not [word for word, _ in instructions[last:] if word in ("RUN", "COPY")], "nothing is made after it"
    assert "uv" not in PurePosixPath(bases[-1]).name


def test_no_secret_is_baked_in(instructions: list[tuple[str, str]]) -> None:
    for word, rest in instructions:
        if word in ("ENV", "LABEL"):
            assert not re.search(r"PASSWORD|SECRET|TOKEN|KEY", rest)
        assert not re.search(r"postgresql://\S+:\S+@", rest)
    assert ".env" not in {line.lstrip("!") for line in (PROJECT / ".dockerignore").read_text().splitlines()}


def test_the_image_starts_the_program(instructions: list[tuple[str, str]]) -> None:
    words = dict(instructions)
    assert words["ENTRYPOINT"] == '["headwater"]'
    assert words["CMD"] == '["serve"]'
    assert words["STOPSIGNAL"] == "SIGTERM"
