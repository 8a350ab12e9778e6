-- The place of a change's transaction among those of its batch, in the order of commits: commit times may be equal, or go
-- back with the source's clock, and positions in the log do not order transactions. 0: landed before this was noted.
alter table log.change_log add column commit_no int not null default 0;

alter table ops.dimension_change add column commit_no int not null default 0;

create or replace function ops.keep_dimension_changes(of_day date) returns void
language sql
as $$
    insert into ops.dimension_change (
        source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at, commit_no
    )
    select
        source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at, commit_no
    from log.change_log
    where landed_on = of_day and ops.has_dimension_history(schema_name, table_name)
$$;

create or replace view ops.dimension_changes with (security_invoker = true) as
select
    change.source,
    change.epoch,
    change.batch_id,
    change.xid,
    change.lsn,
    change.seq,
    change.op,
    change.schema_name,
    change.table_name,
    change.key,
    change.before,
    change.after,
    change.committed_at,
    epoch.started_at as epoch_began,
    change.commit_no
from (
    select
        source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at, commit_no
    from log.change_log

    union all

    select
        source, epoch, batch_id, xid, lsn, seq, op, schema_name, table_name, key, before, after, committed_at, commit_no
    from ops.dimension_change
) as change
inner join log.epoch as epoch
    on change.source = epoch.source and change.epoch = epoch.epoch;
