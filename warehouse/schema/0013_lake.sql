-- What the lake needs to cut the audit messages exactly where it stopped, and to find truncations without reading all.

-- In the order that one source's messages landed: like batches, each source's numbers grow with its commits.
alter table log.transactions add column landed_no bigint generated always as identity;

alter table log.transactions add column landed_on date not null default (now() at time zone 'utc')::date;

create unique index transactions_landed_no on log.transactions (source, landed_no);

create index transactions_landed_on on log.transactions using brin (landed_on);

create index change_log_truncation on log.change_log (schema_name, table_name) where op = 't';

-- What dimensions with a history (SCD2) are made of, beyond the days that the change log keeps: copied here when a day
-- is dropped, or from the lake (`headwater rebuild --from lake`).
create table ops.dimension_change (
    source text not null,
    epoch int not null,
    batch_id bigint not null,
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
);

-- The row that a change is about, where it is of a table whose dimension keeps a history; else null. In an index of its
-- own kind: one for a table's name would tempt the planner wherever that name is asked for.
create function ops.dimension_key(of_schema text, of_table text, of_key jsonb) returns uuid
language sql
immutable
as $$
    select case
        when of_schema = 'contacts' and of_table = 'account' then (of_key ->> 'account_uuid')::uuid
        when of_schema = 'inventory' and of_table = 'product' then (of_key ->> 'id')::uuid
    end
$$;

create index dimension_change_key on ops.dimension_change (ops.dimension_key(schema_name, table_name, key))
where ops.dimension_key(schema_name, table_name, key) is not null;

create index dimension_change_truncation on ops.dimension_change (schema_name, table_name) where op = 't';

create index change_log_dimension on log.change_log (ops.dimension_key(schema_name, table_name, key))
where ops.dimension_key(schema_name, table_name, key) is not null;

create function ops.has_dimension_history(of_schema text, of_table text) returns boolean
language sql
immutable
as $$ select (of_schema, of_table) in (('contacts', 'account'), ('inventory', 'product')) $$;

create function ops.keep_dimension_changes(of_day date) returns void
language sql
as $$
    insert into ops.dimension_change
        (source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at)
    select source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at
    from log.change_log
    where landed_on = of_day and ops.has_dimension_history(schema_name, table_name)
$$;

-- Every change of those tables that the warehouse has, each once. epoch_began puts a source's epochs, and the sources
-- that a service's tables came from one after the other, in the order of their time.
create view ops.dimension_changes with (security_invoker = true) as
select
    change.*,
    epoch.started_at as epoch_began
from (
    select source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at
    from log.change_log

    union all

    select source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at
    from ops.dimension_change
) as change
inner join log.epoch as epoch
    on change.source = epoch.source and change.epoch = epoch.epoch;
