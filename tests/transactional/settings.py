"""Settings of tests: an installation that exists only while they run, with the sample service ``shelf`` beside it.

Ports are filled in when the clusters stand (``world`` in ``conftest.py``), so that commands which need no database,
such as ``makemigrations``, work with these settings too.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from headwater import config

HOME = Path(tempfile.mkdtemp(prefix="headwater-test-home-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
SAMPLE = "shelf"

_passwords = config.new_passwords() | {f"hw_{SAMPLE}{suffix}": secrets.token_urlsafe(24) for suffix in ("", "_owner")}
_nowhere = config.Server("127.0.0.1", 1, "postgres")
config.Config(str(HOME), _nowhere, _nowhere, 1, secrets.token_urlsafe(40), _passwords).save()

_before = os.environ.get("HEADWATER_HOME")
os.environ["HEADWATER_HOME"] = str(HOME)
try:
    from headwater.settings import *  # noqa: F403
finally:
    if _before is None:
        del os.environ["HEADWATER_HOME"]
    else:
        os.environ["HEADWATER_HOME"] = _before

from headwater.settings import (  # noqa: E402 (only now is there a configuration)
    CONFIG,
    DATABASES,
    HEADWATER_SERVICES,
    HEADWATER_SOURCES,
    INSTALLED_APPS,
    database,
)

HEADWATER_SERVICES = (*HEADWATER_SERVICES, SAMPLE)
HEADWATER_SOURCES[SAMPLE] = "headwater"
INSTALLED_APPS = [*INSTALLED_APPS, "tests.transactional.kernel.shelf"]
DATABASES[SAMPLE] = database(CONFIG.service_url(SAMPLE))
DATABASES[f"{SAMPLE}_owner"] = database(CONFIG.service_url(SAMPLE, role=f"hw_{SAMPLE}_owner"), persistent=False)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
