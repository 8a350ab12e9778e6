-- Every event that dispatch has dealt with, so that one which comes again (a connector that was killed sends again what
-- it had not noted) makes no delivery a second time. Kept as long as the event may stand in its outbox.
create table stream.dispatched (
    event_id uuid primary key,
    occurred_at timestamptz not null
);
-- Retention looks for the old ones, which stand together: a page of this index for some thousand of them.
create index dispatched_occurred on stream.dispatched using brin (occurred_at);

-- What dispatch keeps of a source that it reads over Kafka. An offset means something only within its topic and
-- cluster, whose ids stand beside it; a partition is dispatched by whoever claimed it last.
create table stream.kafka_source (
    source text primary key,
    cluster_id text not null
);

create table stream.kafka_partition (
    source text not null references stream.kafka_source (source) on delete cascade,
    topic text not null,
    partition int not null,
    topic_id text not null,
    -- Where to read on; null: at the beginning.
    next_offset bigint,
    -- Who dispatches it, and how often it has changed hands: a claim that was taken over can store nothing any more.
    owner text,
    generation bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (source, topic, partition)
);

-- Records that are no event at all, whole. Everything after them went on.
create table stream.kafka_parked (
    source text not null,
    topic text not null,
    partition int not null,
    topic_id text not null,
    record_offset bigint not null,
    key bytea,
    header_names text[] not null,
    header_values bytea[] not null,
    value bytea,
    error text not null,
    parked_at timestamptz not null default clock_timestamp(),
    primary key (source, topic, partition, topic_id, record_offset)
);
