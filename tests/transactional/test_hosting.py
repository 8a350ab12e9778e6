"""A process hosts the services it is told to, and nothing of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json
import tests.bootstrap
from django.conf import settings
from django.test import Client
document = Client().get("/api/openapi.json").json()
services = sorted({path.split("/")[2] for path in document["paths"]} - {"shelf", "360", "search"})
databases = sorted(set(settings.DATABASES) - {"default", "shelf", "shelf_owner"})
print(json.dumps([services, databases]))
"""


@pytest.mark.parametrize("hosted", [["contacts"], ["finance", "orders"]])
def test_a_process_hosts_what_it_is_told(hosted: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env={
            **os.environ,
            "HEADWATER_SERVICES": ",".join(hosted),
            "DJANGO_SETTINGS_MODULE": "tests.transactional.settings",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    services, databases = json.loads(done.stdout)
    assert services == hosted
    assert databases == sorted(alias for service in hosted for alias in (service, f"{service}_owner"))
    assert "identical names" not in done.stderr, "two models of one name, or one taken for two"
