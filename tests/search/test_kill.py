"""SIGKILL of the sync at every fail-point, with real processes: afterwards the index holds exactly the documents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from search.engines import open_engine
from search.place import Place
from search.sync import FAILPOINTS
from tests.mirror import delete
from tests.search.test_reconcile import differences
from tests.search.world import ACME, ORDER, SUMMIT, Searching, account, profile

DRAIN = """
import sys
from pathlib import Path
from pipelines.search.worker import drain
from search.place import Place
dsn, directory, url, key, prefix = sys.argv[1:]
drain(dsn, Place(Path(directory), url or None, key or None, prefix))
"""


def drain(world: Searching, failpoint: str = "") -> int:
    """Runs the sync in a process of its own until nothing is due; its exit code."""
    place: Place = world.place
    arguments = [world.dsn("wh_owner"), str(place.directory), place.url or "", place.key or "", place.prefix]
    environment = dict(os.environ) | {"HEADWATER_FAILPOINT": failpoint}
    done = subprocess.run(
        [sys.executable, "-c", DRAIN, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_killed_sync_loses_nothing_and_leaves_nothing(world: Searching, failpoint: str) -> None:
    if failpoint.startswith("search.build."):
        world.owner.execute("truncate search.standing")
        world.engine.begin("account", "of another version")
        world.engine.finish("account", 0)
    world.engine.close()
    world.land(
        account(SUMMIT, "AC-000101", "Pinnacle"),
        profile(SUMMIT, "Pinnacle"),
        delete("contacts.account", account_uuid=ACME),
    )
    assert drain(world, failpoint) == -signal.SIGKILL
    assert drain(world) == 0
    world.engine = open_engine(world.place)
    assert differences(world) == {}
    assert world.ids("pinnacle") >= {SUMMIT, ORDER}
    assert world.ids("acme") == set()
    assert world.owner.execute("select count(*) from log.queue where consumer = 'search'").fetchone() == (0,)


def test_every_point_is_reached_in_one_run_or_the_other(tmp_path: Path) -> None:
    """The list of points is the code's own: none is only listed."""
    code = "".join(path.read_text() for path in Path(__file__).parents[2].glob("search/*.py"))
    assert all(code.count(f'"{point}"') == 2 for point in FAILPOINTS)
