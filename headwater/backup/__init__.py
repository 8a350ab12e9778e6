"""Backup and restore of a whole installation: both clusters and the lake, consistent to one position of the stream.

The OLTP cluster is copied physically, the warehouse logically. The cut is the position up to which the warehouse's
copy has landed: the restored OLTP cluster replays its WAL up to that very position, so that the mirror and its source
agree to the row. ``docs/decisions/0053-one-cut-for-both-clusters.md`` says why.
"""
