"""The docs site: builds without a warning, fetches nothing from anybody, and its reference says what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.state import PROJECT
from headwater.variables import VARIABLES
from policy.roles import ROLES

ROOMS = ("headwater", "transactional", "policy", "cdc", "pipelines", "warehouse", "search", "bi", "web")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Strict: a broken link or anchor, or a page outside of the navigation, ends the build."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=PROJECT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return target


def test_every_guide_and_decision_is_a_page(site: Path) -> None:
    for path in (PROJECT / "docs").rglob("*.md"):
        name = path.relative_to(PROJECT / "docs")
        if name.parts[0] != "examples":
            assert (site / name.with_suffix(".html")).exists(), name


def test_nothing_is_fetched_from_anybody(site: Path) -> None:
    """Scripts, styles, fonts and images come from the site itself."""
    for page in site.rglob("*.html"):
        html = page.read_text()
        fetched = re.findall(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=[\"']?(https?:[^\"'\s>]+)", html)
        assert fetched == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:|@import", style.read_text()), style.name


def test_the_reference_names_every_command_with_its_address(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text()
    for name, address in (
        ("contacts.create_account", "POST /api/contacts/accounts"),
        ("finance.place_on_credit_hold", "POST /api/finance/account-profiles/{id}/place-on-credit-hold"),
        ("orders.import_sales_orders", "POST /api/orders/sales-orders/bulk"),
    ):
        assert name in page
        assert address in page


def test_the_reference_names_every_event_and_role(site: Path) -> None:
    page = (site / "reference" / "events.html").read_text()
    for kind in ("ACCOUNT_CREATED", "ACCOUNT_STATUS_CHANGED", "SALES_ORDER_SHIPPED", "USER_CHANGED"):
        assert kind in page
    page = (site / "reference" / "roles.html").read_text()
    for role in ROLES.keys() - {"service"}:
        assert role in page


def test_the_list_of_variables_is_the_codes() -> None:
    """A variable that the code reads is explained, and one that is explained is read."""
    sources = {path: path.read_text() for room in ROOMS for path in (PROJECT / room).rglob("*.py")}
    sources.pop(PROJECT / "headwater" / "variables.py")
    everything = "\n".join(sources.values())
    read = set(
        re.findall(r"environ(?:\.get\(|\[|\.setdefault\()\s*f?[\"'](HEADWATER_[A-Z_]+|OTEL_[A-Z_]+)", everything)
    )
    known = {variable.name for variable in VARIABLES}
    assert read <= known, f"explain {read - known} in headwater/variables.py"
    for name in known:
        assert name in everything or name.replace("_PASSWORD_FILE", "_URL") in everything, f"nothing reads {name}"
