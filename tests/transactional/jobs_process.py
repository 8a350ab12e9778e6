"""``python -m tests.transactional.jobs_process``: the jobs worker as a process that a test may kill.

Takes the services' names, the clusters' port, the database and the passwords as JSON on standard input.
"""

from __future__ import annotations

import json
import sys

from django.db import connections

import tests.bootstrap  # noqa: F401
from pipelines.runtime import Stop
from tests.transactional.jobs_thread import Watch
from transactional.kernel import jobs


def main() -> None:
    given = json.load(sys.stdin)
    for service in given["stream_dsns"]:
        connections.settings[service] |= {
            "HOST": "127.0.0.1",
            "PORT": given["port"],
            "NAME": given["database"],
            "PASSWORD": given["passwords"][f"hw_{service}"],
        }
    jobs.run(given["stream_dsns"], Watch(), Stop().on_signals())


main()
