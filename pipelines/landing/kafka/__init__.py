"""Landing of a source that Debezium carries over Kafka: several workers share its partitions."""
