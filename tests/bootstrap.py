"""Loads Django with the settings of tests; imported before anything that declares or imports models."""

from __future__ import annotations

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.transactional.settings"
django.setup()
