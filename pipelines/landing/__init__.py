"""Landing: carries each source's committed changes into the warehouse, exactly once, in one transaction a batch."""

FAILPOINTS = (
    "landing.before_position",
    "landing.before_copy",
    "landing.after_copy",
    "landing.after_mirror",
    "landing.before_commit",
    "landing.after_commit",
    "landing.after_acknowledge",
    "spool.after_segment",
    "ddl.before",
    "ddl.views_down",
    "ddl.after",
    "snapshot.before_epoch",
    "snapshot.after_epoch",
    "snapshot.before_chunk",
    "snapshot.before_commit",
    "snapshot.after_commit",
    "reread.before_commit",
    "reread.after_commit",
    "repair.after_drop",
    "repair.after_slot",
)
"""Places where a test may have the landing process killed; see ``cdc.failpoints``."""
