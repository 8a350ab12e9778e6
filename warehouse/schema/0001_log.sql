-- What the stream leaves in the warehouse besides the mirror: the change log, who did it, queues of landed batches,
-- and the positions and states that let every reader and every restart go on exactly where the last one stopped.

create schema log;

-- An epoch is one continuous WAL history: positions of different epochs never compare.
create table log.epoch (
    source text not null,
    epoch int not null,
    system_id text not null,
    timeline int not null,
    slot text not null,
    reason text not null,
    started_at timestamptz not null default now(),
    primary key (source, epoch)
);

-- The end of the last transaction that is stored. The gap check and every watermark read this row.
create table log.position (
    source text primary key,
    epoch int not null,
    system_id text not null,
    timeline int not null,
    slot text not null,
    lsn pg_lsn not null,
    committed_at timestamptz,
    updated_at timestamptz not null default now(),
    foreign key (source, epoch) references log.epoch (source, epoch)
);

-- What landing does with a source at this moment, for `status` and `doctor`.
create table log.source_state (
    source text primary key,
    state text not null check (state in ('snapshot', 'streaming', 'waiting', 'stopped')),
    error text,
    since timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table log.batch (
    batch_id bigint generated always as identity primary key,
    source text not null,
    epoch int not null,
    from_lsn pg_lsn not null,
    to_lsn pg_lsn not null,
    changes int not null,
    first_committed_at timestamptz,
    last_committed_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create index batch_landed_at on log.batch (landed_at);

-- Every change once, append-only. op: c create, u update, d delete, t truncate, r read by a snapshot.
-- Images are objects of PostgreSQL's text forms; a column the source did not send is absent.
create table log.change_log (
    landed_on date not null,
    batch_id bigint not null,
    source text not null,
    epoch int not null,
    xid bigint not null,
    lsn pg_lsn not null,
    seq int not null,
    op "char" not null,
    schema_name text not null,
    table_name text not null,
    key jsonb not null,
    before jsonb,
    after jsonb,
    committed_at timestamptz not null
)
partition by range (landed_on);

create unique index change_log_identity on log.change_log (xid, lsn, seq, source, epoch, landed_on) where op <> 'r';

create index change_log_batch on log.change_log (batch_id);

create index change_log_key on log.change_log using hash (key);

-- Audit messages: who, by which command, why. A change belongs to the latest one before it in its transaction:
-- the row of the same source, epoch and xid with the largest seq <= the change's.
create table log.transactions (
    source text not null,
    epoch int not null,
    xid bigint not null,
    seq int not null,
    lsn pg_lsn not null,
    committed_at timestamptz not null,
    actor uuid,
    actor_name text,
    command text,
    request_id uuid,
    reason text,
    content jsonb not null,
    primary key (source, epoch, xid, seq, lsn)
);

create index transactions_committed_at on log.transactions (committed_at);

create index transactions_actor on log.transactions (actor, committed_at);

-- Readers of landed batches; landing queues each batch with changes once for every consumer that stands here.
create table log.consumer (
    name text primary key,
    registered_at timestamptz not null default now()
);

insert into log.consumer (name) values ('refresh');

create table log.queue (
    consumer text not null references log.consumer (name) on delete cascade,
    batch_id bigint not null,
    primary key (consumer, batch_id)
)
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Schema changes as facts of the stream; problems names what could not follow (a view that no longer compiles).
create table log.schema_change (
    source text not null,
    epoch int not null,
    xid bigint not null,
    lsn pg_lsn not null,
    seq int not null,
    relid bigint not null,
    schema_name text not null,
    table_name text not null,
    command text not null,
    before jsonb,
    after jsonb,
    rewrites boolean not null,
    committed_at timestamptz not null,
    applied_at timestamptz not null default clock_timestamp(),
    problems jsonb not null default '[]',
    primary key (source, epoch, lsn, seq, relid)
);

-- Mirrored tables and their columns as the stream last described them. What the source dropped keeps its values and
-- is flagged here. shape says how a composite's text becomes jsonb.
create table log.mirror (
    schema_name text not null,
    table_name text not null,
    source text not null,
    relid bigint not null,
    key text [] not null,
    dropped_at timestamptz,
    primary key (schema_name, table_name)
);

create table log.mirror_column (
    schema_name text not null,
    table_name text not null,
    column_name text not null,
    attnum int,
    type_name text not null,
    shape jsonb,
    dropped_at timestamptz,
    primary key (schema_name, table_name, column_name),
    foreign key (schema_name, table_name) references log.mirror (schema_name, table_name)
    on update cascade on delete cascade
);

-- Reads of whole tables: the initial load, a repair, or a re-read after a schema change that rewrote rows. progress is
-- cdc.snapshot_progress.SnapshotProgress, stored with each chunk's rows; begun names the tables whose rows are here, by
-- relation id, so that a table which begins anew is cleared first. stamp_* is the schema change's position, which re-read rows carry.
create table log.snapshot (
    snapshot_id bigint generated always as identity primary key,
    source text not null,
    epoch int not null,
    purpose text not null check (purpose in ('initial', 'repair', 'reread')),
    relid bigint not null default 0,
    stamp_lsn pg_lsn not null default '0/0',
    stamp_seq int not null default 0,
    progress jsonb,
    begun jsonb not null default '{}',
    rows bigint not null default 0,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    finished_lsn pg_lsn,
    unique (source, epoch, purpose, relid, stamp_lsn, stamp_seq),
    foreign key (source, epoch) references log.epoch (source, epoch)
);

-- Changes the mirror refused, and every later change of the same key, in order, until someone replays them.
-- after is what the mirror's row would become: absent columns keep their stored value.
create table log.parked (
    parked_id bigint generated always as identity primary key,
    batch_id bigint not null,
    source text not null,
    epoch int not null,
    schema_name text not null,
    table_name text not null,
    key jsonb not null,
    xid bigint not null,
    lsn pg_lsn not null,
    seq int not null,
    op "char" not null,
    after jsonb not null,
    committed_at timestamptz not null,
    error text not null,
    parked_at timestamptz not null default clock_timestamp()
);

create index parked_key on log.parked (source, schema_name, table_name, key);
