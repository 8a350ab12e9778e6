"""The tour in the README does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from headwater.state import PROJECT
from tests.stack import Stack

QUESTION = re.compile(r"^(?:call GET|\.venv/bin/headwater status).*?(?=^call|\Z)", re.DOTALL | re.MULTILINE)
"""A command of the tour that only reads, with what it is piped to."""


def asked(question: str, words: str) -> str:
    """The question, asked until a line of its answer matches ``words``: nobody types as fast as a script."""
    return f"until {{ {question}}} > answer && grep -Eq '{words}' answer; do sleep 0.1; done\ncat answer\n"


def tour(stack: Stack, wanted: list[str]) -> str:
    """The tour's commands as one script, with this stack's address and interpreter. Each question waits for what is
    ``wanted`` of it, in their order."""
    text = (PROJECT / "README.md").read_text()
    section = text.split("## A two-minute tour", 1)[1].split("\n## ", 1)[0]
    words = iter(wanted)
    blocks = [
        QUESTION.sub(lambda found: asked(found[0], next(words)), block)
        for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    ]
    script = "\necho ---\n".join(blocks)
    assert "http://127.0.0.1:8000" in script
    script = script.replace("http://127.0.0.1:8000", stack.url)
    return "set -e\n" + script.replace(".venv/bin/headwater", f"{sys.executable} -m headwater")


def test_the_tour_works_as_printed(stack: Stack, tmp_path: Path) -> None:
    (restarts,) = (row["restarts"] for row in stack.status()["processes"] if row["name"] == "landing")
    running_again = f"^landing .* running .* {restarts + 1} *$"
    wanted = ["payment_terms", "On Hold", '"Active"', "contacts.set_hold", running_again]
    done = subprocess.run(
        ["bash", "-c", tour(stack, wanted)],
        cwd=tmp_path,
        env=stack.environment | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, written, replica, hold, view, mistake, killed = done.stdout.split("---\n")
    assert '"name":"Acme Rockets"' in written
    assert '"credit_limit":"10000.0000"' in replica
    assert hold.splitlines() == ['"status":"On Hold","status_before_hold":"Active"', '"status":"Active"']
    changes = [line.split()[1:3] for line in view.splitlines()[:-1]]
    assert ["admin", "contacts.create_account"] in changes
    assert ["admin", "finance.place_on_credit_hold"] in changes
    assert ["stream", "contacts.set_hold"] in changes
    assert '"field":"nmae"' in mistake
    landing = next(line.split() for line in killed.splitlines() if line.startswith("landing") and "running" in line)
    assert int(landing[-1]) == restarts + 1
