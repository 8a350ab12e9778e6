"""``python -m headwater.dagster``: all of Dagster; with the name of a part, that part alone."""

import sys

from headwater.dagster.processes import become, start

if len(sys.argv) > 1:
    become(sys.argv[1])
else:
    start()
