-- What landing keeps of a source that it reads over Kafka. An offset means something only within its topic and cluster,
-- whose ids stand beside it; a partition is landed by whoever claimed it last.

create table log.kafka_source (
    source text primary key,
    cluster_id text not null,
    -- Grows with every schema change that was landed: whoever lands another partition then looks at the tables anew.
    schema_version bigint not null default 0,
    -- The latest mark that has come with the messages: every message that was committed before it is landed.
    mark pg_lsn not null default '0/0',
    mark_committed_at timestamptz
);

create table log.kafka_partition (
    source text not null references log.kafka_source (source) on delete cascade,
    topic text not null,
    partition int not null,
    topic_id text not null,
    -- Where to read on; null: at the beginning.
    next_offset bigint,
    -- The furthest LSN of a landed change: what lies beyond cannot have been landed before.
    lsn pg_lsn not null default '0/0',
    committed_at timestamptz,
    -- Who lands it, and how often it has changed hands: a claim that was taken over can store nothing any more.
    owner text,
    generation bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (source, topic, partition)
);

-- Rows written before these positions, and landed after them, must not come back: the table was truncated there, or is
-- read again as of there.
create table log.kafka_guard (
    source text not null,
    relid bigint not null,
    kind text not null check (kind in ('truncate', 'reread')),
    lsn pg_lsn not null,
    seq int not null,
    committed_at timestamptz not null,
    primary key (source, relid, kind)
);

-- Records that could not be read. Everything after them went on.
create table log.kafka_parked (
    source text not null,
    topic text not null,
    partition int not null,
    topic_id text not null,
    record_offset bigint not null,
    key bytea,
    value bytea not null,
    error text not null,
    parked_at timestamptz not null default clock_timestamp(),
    primary key (source, topic, partition, topic_id, record_offset)
);

-- It holds whole records of anybody's.
alter table log.kafka_parked enable row level security;
