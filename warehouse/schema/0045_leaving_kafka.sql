-- A source that goes back to its slot: what commits after this position is not landed over Kafka any more.
alter table log.kafka_source add column until pg_lsn;
