-- What the hot lane (pipelines/refresh) and full rebuilds (dbt) agree on.

-- The day that time-relative metrics look back from. The lane moves it at midnight UTC unless it is pinned.
create table ops.as_of (
    as_of date not null,
    pinned boolean not null default false,
    only_row boolean primary key default true check (only_row)
);

insert into ops.as_of (as_of) values ((now() at time zone 'utc')::date);

-- How fresh each model is: the last batch of each source whose changes it holds.
create table ops.model_state (
    model text not null,
    source text not null,
    batch_id bigint not null,
    committed_at timestamptz,
    refreshed_at timestamptz not null,
    primary key (model, source)
);

-- Keys (or, as '*', whole models) that could not be refreshed; everything else flows. Tried again at retry_at.
create table ops.parked_key (
    model text not null,
    key text not null,
    error text not null,
    attempts int not null default 1,
    parked_at timestamptz not null default now(),
    retry_at timestamptz not null,
    primary key (model, key)
);

-- Changes of a mirror that the change log has no images of: a repair, a re-read after a schema change, a dropped table.
-- Models that read such a table are rebuilt for it, once. Without a table the fact concerns every table of its source.
create table ops.followed (
    fact text primary key,
    followed_at timestamptz not null default clock_timestamp()
);

create view ops.to_follow with (security_invoker = true) as
select
    whole.fact,
    whole.schema_name,
    whole.table_name
from (
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
    where dropped_at is not null
) as whole
where not exists (select from ops.followed where followed.fact = whole.fact);

-- Full rebuilds under way, each owned by one database session, and the batches that the lane took since it began.
create table ops.rebuild (
    model text not null,
    pid int not null,
    session_start timestamptz not null,
    state jsonb not null,
    as_of date not null,
    began_at timestamptz not null default clock_timestamp(),
    primary key (model, pid)
);

create table ops.rebuild_batch (
    model text not null,
    pid int not null,
    batch_id bigint not null,
    primary key (model, pid, batch_id)
);

-- Per source, the last batch that the lane surely holds: the one before the first that still waits for it.
create view ops.refreshed with (security_invoker = true) as
select
    position.source,
    held.batch_id,
    held.committed_at
from log.position as position
left join lateral (
    select min(queue.batch_id) as batch_id
    from log.queue as queue
    inner join log.batch as batch on queue.batch_id = batch.batch_id
    where queue.consumer = 'refresh' and batch.source = position.source
) as waiting on true
inner join lateral (
    select
        batch.batch_id,
        batch.last_committed_at as committed_at
    from log.batch as batch
    where batch.source = position.source and (waiting.batch_id is null or batch.batch_id < waiting.batch_id)
    order by batch.batch_id desc
    limit 1
) as held on true;

-- Announces a rebuild. Call it in a transaction of its own, before the rebuild reads anything: the table lock waits
-- for the lane's transaction to end, so that every batch the lane takes later is remembered for this rebuild.
create function ops.begin_rebuild(schema_name text, model_name text) returns void
language plpgsql
as $$
declare
    target regclass := to_regclass(format('%I.%I', schema_name, model_name));
begin
    if target is not null then
        execute format('lock table %s in share row exclusive mode', target);
    end if;
    delete from ops.rebuild as dead
    where not exists (
        select from pg_stat_activity as session
        where session.pid = dead.pid and session.backend_start = dead.session_start
    ) or (dead.model = model_name and dead.pid = pg_backend_pid());
    delete from ops.rebuild_batch as orphan
    where not exists (
        select from ops.rebuild as alive where alive.model = orphan.model and alive.pid = orphan.pid
    );
    insert into ops.rebuild (model, pid, session_start, state, as_of)
    select
        model_name,
        session.pid,
        session.backend_start,
        coalesce((select jsonb_agg(to_jsonb(refreshed)) from ops.refreshed), '[]'),
        (select as_of from ops.as_of)
    from pg_stat_activity as session
    where session.pid = pg_backend_pid();
end
$$;

-- Ends a rebuild, in the transaction that swaps the new table in: what the lane refreshed meanwhile in the old table
-- goes back to its queue, and what was parked of this model is tried again.
create function ops.finish_rebuild(schema_name text, model_name text) returns void
language plpgsql
as $$
begin
    insert into log.queue (consumer, batch_id)
    select 'refresh', taken.batch_id
    from ops.rebuild_batch as taken
    where taken.model = model_name and taken.pid = pg_backend_pid()
    on conflict do nothing;

    insert into ops.model_state (model, source, batch_id, committed_at, refreshed_at)
    select model_name, seen.source, seen.batch_id, seen.committed_at, now()
    from ops.rebuild
    cross join jsonb_to_recordset(rebuild.state) as seen (source text, batch_id bigint, committed_at timestamptz)
    where rebuild.model = model_name and rebuild.pid = pg_backend_pid()
    on conflict (model, source) do update
    set batch_id = excluded.batch_id, committed_at = excluded.committed_at, refreshed_at = excluded.refreshed_at;

    -- The lane rebuilt the old table meanwhile, for a new day or a repaired mirror: have it do that again.
    insert into ops.parked_key (model, key, error, retry_at)
    select model_name, '*', 'The lane rebuilt this model during a full rebuild.', now()
    from ops.rebuild
    where
        model = model_name and pid = pg_backend_pid()
        and (
            as_of <> (select today.as_of from ops.as_of as today)
            or exists (select from ops.followed where followed_at >= rebuild.began_at)
        )
    on conflict do nothing;

    delete from ops.rebuild_batch where model = model_name and pid = pg_backend_pid();
    delete from ops.rebuild where model = model_name and pid = pg_backend_pid();
    update ops.parked_key set retry_at = now() where model = model_name;
    notify hw_landed;
end
$$;

-- Has the lane try parked keys at once, of one model or of all; answers how many.
create function ops.retry_parked(model_name text default null) returns bigint
language plpgsql
as $$
declare
    due bigint;
begin
    update ops.parked_key set retry_at = now() where model_name is null or model = model_name;
    get diagnostics due = row_count;
    notify hw_landed;
    return due;
end
$$;
