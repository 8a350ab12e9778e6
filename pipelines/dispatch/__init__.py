"""Dispatch: outbox rows from the write-ahead log become deliveries, one per subscriber, which jobs workers claim."""
