"""Why a Java program of the Kafka profile cannot run, and what to do."""

from __future__ import annotations


class KafkaError(Exception):
    """Jars, Java or a program that is not as it must be; the message says which and what to do."""
