-- Who wants which events. aggregate_type '*' means every aggregate type.
create table stream.subscription (
    consumer text not null,
    event_type text not null,
    aggregate_type text not null default '*',
    subscribed_at timestamptz not null default now(),
    primary key (consumer, event_type, aggregate_type)
);

-- One row per event and consumer, from dispatch until the consumer has applied it.
-- held: not claimable now. The row failed (next_attempt_at or parked_at is set: it blocks its aggregate) or stands
-- behind such a row of its aggregate (same consumer, producer, aggregate_type and aggregate_id).
create table stream.delivery (
    id bigint generated always as identity,
    consumer text not null,
    event_id uuid not null,
    source text not null,
    producer text not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    aggregate_version bigint not null,
    type text not null,
    schema_version int not null,
    payload jsonb not null,
    occurred_at timestamptz not null,
    causation_id uuid,
    correlation_id uuid,
    actor_id uuid,
    delivered_at timestamptz not null default now(),
    attempts int not null default 0,
    last_error text,
    next_attempt_at timestamptz,
    parked_at timestamptz,
    held boolean not null default false,
    primary key (event_id, consumer),
    constraint delivery_blocker_is_held check (held or (next_attempt_at is null and parked_at is null))
) with (
    -- A queue: rows live for milliseconds, so dead ones are swept by their number, not by the table's size.
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = -1,
    fillfactor = 90
);
create index delivery_ready on stream.delivery (consumer, id) where not held;
create index delivery_aggregate on stream.delivery (aggregate_id, consumer, id);
create index delivery_blocker on stream.delivery (aggregate_id, consumer, id)
    where next_attempt_at is not null or parked_at is not null;
create index delivery_retry on stream.delivery (consumer, next_attempt_at) where next_attempt_at is not null;

-- One worker at a time claims for a consumer. The session that claims holds the advisory lock (18519, token); when
-- it ends the lock is free at once, and when it hangs the lease may be taken over after held_until.
create table stream.lease (
    consumer text primary key,
    token int not null,
    held_until timestamptz not null
);
create sequence stream.lease_token as int cycle;

-- What dispatch has stored of each source; written in the transaction that inserts the deliveries.
create table stream.position (
    source text primary key,
    system_id text not null,
    timeline int not null,
    slot text not null,
    lsn pg_lsn not null,
    committed_at timestamptz,
    updated_at timestamptz not null default now()
);

-- Outbox rows that are no events (a column is absent, a value is not of its type): kept, named, blocking nothing.
create table stream.malformed (
    source text not null,
    producer text not null,
    outbox_id text not null,
    image jsonb not null,
    error text not null,
    found_at timestamptz not null default now(),
    primary key (source, producer, outbox_id)
);
