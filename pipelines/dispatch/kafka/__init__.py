"""Dispatch over Kafka: events that Debezium's outbox router has put on a topic become deliveries."""
