"""Sources behind one port: the replication slot here; Kafka in its own issue."""
