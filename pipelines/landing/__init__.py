"""Landing: carries each source's committed changes into the warehouse, exactly once, in one transaction a batch."""

FAILPOINTS = (
    "landing.before_position",
    "landing.before_copy",
    "landing.after_copy",
    "landing.after_mirror",
    "landing.before_commit",
    "landing.after_commit",
    "landing.after_acknowledge",
)
"""Places where a test may have the landing process killed; see ``cdc.failpoints``."""
