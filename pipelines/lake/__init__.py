"""The lake's writers: the loader that moves what landed into it, its housekeeping, and what only hands ask for."""

FAILPOINTS = (
    "lake.claimed",
    "lake.written",
    "lake.after_commit",
    "lake.after_queue",
    "lake.before_merge",
    "lake.after_merge",
    "lake.after_expire",
    "lake.before_drop",
    "lake.after_drop",
)
"""Places where a test may have the process killed; see ``cdc.failpoints``."""
