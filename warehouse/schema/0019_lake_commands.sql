-- Mirrors written anew from the lake (`headwater rebuild --from lake`): no change log has images of that, so the hot lane
-- rebuilds every model, and search compares every document, once for each.
create table ops.mirror_rebuilt (
    rebuilt_id bigint generated always as identity primary key,
    source text not null,
    rebuilt_at timestamptz not null default clock_timestamp()
);

create or replace view ops.imageless_change with (security_invoker = true) as
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

union all

select
    'rebuilt ' || rebuilt_id as fact,
    null as schema_name,
    null as table_name
from ops.mirror_rebuilt;

-- An image without what it says of a person: these columns are null in it from now on.
create function ops.erased(image jsonb, columns text []) returns jsonb
language sql
immutable
as $$
    select image || coalesce(
        (select jsonb_object_agg(name, null::text) from unnest(columns) as name where image ? name), '{}'
    )
$$;

-- What `headwater repair lake` has yet to load again from the change log; the files that held it are out of the catalogue.
create table ops.lake_restoring (
    restoring_id bigint generated always as identity primary key,
    lake_table text not null,
    of_table text not null,
    landed_on date not null,
    first_no bigint not null,
    last_no bigint not null,
    noted_at timestamptz not null default clock_timestamp()
);
