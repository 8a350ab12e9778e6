"""What is called the same everywhere. Apart from ``oltp``, which brings Django: landing and dispatch do without it."""

from __future__ import annotations

LANDING, DISPATCH = "hw_landing", "hw_dispatch"
"""Publications, and the slots of the shared database."""

KAFKA = "hw_kafka"
"""The publication of everything. Debezium reads one alone, and what the two above stream must come in one order."""

STREAM_DATABASE = "stream"
