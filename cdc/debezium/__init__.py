"""Debezium's change events, read as the embedded decoder gives them: PostgreSQL's own text for every value."""
