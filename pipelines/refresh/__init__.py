"""The hot lane: takes landed batches from its queue and refreshes the marts for the keys that they touched."""

FAILPOINTS = (
    "refresh.claimed",
    "refresh.after_delete",
    "refresh.before_commit",
    "refresh.after_commit",
)
"""Places where a test may have the refresh process killed; see ``cdc.failpoints``."""
