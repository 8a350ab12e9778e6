-- What search knows of its documents: the version that each was last given, what is being written, how indexes stand.

create schema search;

-- Versions grow with the moment at which a document was read from the mirror, under the lock of its row here.
create sequence search.version;

-- A document that was built once keeps its row. hash is null where the row it is of is gone; it says what the index
-- holds as long as era is its index's.
create table search.document (
    entity text not null,
    id uuid not null,
    version bigint not null,
    hash bigint,
    era int not null,
    primary key (entity, id)
)
with (fillfactor = 85);

-- Documents on their way into the engine, each until its writer has seen that nobody overtook it. What a writer leaves
-- behind is written anew by the next one.
create table search.writing (
    writer uuid not null,
    entity text not null,
    id uuid not null,
    version bigint not null,
    since timestamptz not null default clock_timestamp(),
    adopted_at timestamptz,
    primary key (entity, id, writer)
);

-- The index of each entity: version is the highest that was surely written, so that an older index is recognised.
create table search.standing (
    entity text primary key,
    engine text not null,
    fingerprint text not null,
    era int not null,
    version bigint not null,
    reason text not null,
    built_at timestamptz not null default clock_timestamp(),
    seconds double precision not null
);

-- Documents that the engine refuses, whatever the moment; everything else goes on.
create table search.refused (
    entity text not null,
    id uuid not null,
    error text not null,
    refused_at timestamptz not null default clock_timestamp(),
    primary key (entity, id)
);

-- Changes of a mirror without images, as the hot lane follows them too (ops.to_follow), each followed once by search.
create view ops.imageless_change with (security_invoker = true) as
select
    'snapshot ' || snapshot.snapshot_id as fact,
    mirror.schema_name,
    mirror.table_name
from log.snapshot as snapshot
left join log.mirror as mirror
    on snapshot.purpose = 'reread' and snapshot.source = mirror.source and snapshot.relid = mirror.relid
where snapshot.purpose in ('repair', 'reread') and snapshot.finished_at is not null

union all

select
    'dropped ' || schema_name || '.' || table_name || ' ' || dropped_at as fact,
    schema_name,
    table_name
from log.mirror
where dropped_at is not null;

create or replace view ops.to_follow with (security_invoker = true) as
select
    imageless.fact,
    imageless.schema_name,
    imageless.table_name
from ops.imageless_change as imageless
where not exists (select from ops.followed where followed.fact = imageless.fact);

create table search.followed (
    fact text primary key,
    followed_at timestamptz not null default clock_timestamp()
);

create view search.to_follow with (security_invoker = true) as
select
    imageless.fact,
    imageless.schema_name,
    imageless.table_name
from ops.imageless_change as imageless
where not exists (select from search.followed where followed.fact = imageless.fact);

-- Per source, up to where everything can be found: to the stored position, or to the batch before the first that waits.
create view search.watermark with (security_invoker = true) as
select
    position.source,
    case when waiting.batch_id is null then position.lsn else held.to_lsn end as lsn,
    case when waiting.batch_id is null then position.committed_at else held.last_committed_at end as committed_at
from log.position as position
left join lateral (
    select min(queue.batch_id) as batch_id
    from log.queue as queue
    inner join log.batch as batch on queue.batch_id = batch.batch_id
    where queue.consumer = 'search' and batch.source = position.source
) as waiting on true
left join lateral (
    select
        batch.to_lsn,
        batch.last_committed_at
    from log.batch as batch
    where batch.source = position.source and batch.batch_id < waiting.batch_id
    order by batch.batch_id desc
    limit 1
) as held on true;

insert into log.consumer (name) values ('search') on conflict do nothing;
