"""Nothing is lost and nothing is doubled, whatever dies and whenever it does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storm import points, storm

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Reachable for the account that runs PostgreSQL, which pytest's own temporary directories are not."""
    made = Path(tempfile.mkdtemp(prefix="headwater-storm-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_every_fail_point_is_hit_by_the_storm_or_by_tests_beside_its_code() -> None:
    """A fail-point that nobody passes on purpose would be a promise that nobody keeps."""
    here = {*points.under_load(), *points.AT_START, *points.AT_PREPARATION, *points.AT_STOP}
    assert sorted(points.all_points() - here - points.killed_at_by_tests_beside()) == []


@pytest.mark.timeout(3600)
def test_nothing_is_lost_or_doubled_whatever_dies(
    directory: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--storm-kills`` random deaths, on top of one at every fail-point and of every process."""
    kills = request.config.getoption("--storm-kills", default=20)
    seed = request.config.getoption("--storm-seed", default=20)
    outcome = storm.run(directory, random_kills=kills, seed=seed, logs=PROJECT / "build" / "storm-logs")
    storm.write_report(outcome, PROJECT / "build" / "storm")
    with capsys.disabled():
        print("", *outcome.lines(), sep="\n")
    assert outcome.faults == []
    assert outcome.ledger.acknowledged > 100
