-- Over Kafka a source's partitions run ahead of each other, and a mirror may hold some of a transaction's rows before the
-- others. A cut is a moment of the source of which everything has landed: the transactions that its snapshot sees.

alter table log.kafka_source add column mark_snapshot pg_snapshot;
alter table log.kafka_source add column cut pg_snapshot;

-- The rows of a mirror as of its source's cut: `select * from ops.at_cut(null::raw_orders.sales_order)`. What landed
-- beyond it is taken back by the old images in the change log; of such rows _lsn, _seq and _committed_at are null.
-- Over a slot whole transactions land, and the mirror is its own cut. Reads the whole mirror, deleted rows left out.
-- For the warehouse's owner: nobody else may read the change log. Raises where it cannot be told (yet).
create function ops.at_cut(of_mirror anyelement) returns setof anyelement
language plpgsql
stable
set search_path = pg_catalog
as $$
declare
    relation constant oid := (select type.typrelid from pg_type as type where type.oid = pg_typeof(of_mirror));
    mirror log.mirror;
    here log.position;
    cut pg_snapshot;
    joined text;
    taken_back text;
    problem text;
    ahead constant text := $ahead$
        select distinct on (change.key) change.key, change.op, change.before
        from log.change_log as change
        where
            change.source = $1
            and change.epoch = $2
            and change.schema_name = $3
            and change.table_name = $4
            and change.op <> 'r'
            and change.xid >= pg_snapshot_xmin($5)::text::bigint
            and not pg_visible_in_snapshot(change.xid::text::xid8, $5)
        order by change.key, change.batch_id, change.commit_no, change.seq
    $ahead$;
begin
    if row_security_active('log.change_log') then
        raise insufficient_privilege using message = 'only the owner of the warehouse can read mirrors at a cut';
    end if;
    select found.* into mirror
    from log.mirror as found
    inner join pg_class as class on class.oid = relation
    inner join pg_namespace as namespace on class.relnamespace = namespace.oid
    where namespace.nspname = 'raw_' || found.schema_name and class.relname = found.table_name;
    if mirror is null then
        raise wrong_object_type using
            message = format('%s is no mirror', pg_typeof(of_mirror)),
            hint = 'Ask for a row of one: ops.at_cut(null::raw_orders.sales_order).';
    end if;

    select kafka.cut into cut from log.kafka_source as kafka where kafka.source = mirror.source and kafka.until is null;
    if not found then
        return query execute format('select mirror.* from %s as mirror where not mirror._deleted', relation::regclass);
        return;
    end if;

    select position.* into here from log.position as position where position.source = mirror.source;
    if cut is null then
        problem := 'no mark has come since it is landed over Kafka';
    elsif exists (
        select from log.snapshot as snapshot
        where
            snapshot.source = here.source
            and snapshot.epoch = here.epoch
            and snapshot.relid in (0, mirror.relid)
            and (snapshot.finished_at is null or snapshot.finished_lsn > here.lsn)
    ) then
        problem := 'it is read from its table, or was since the cut';
    else
        execute format(
            $problem$
            select case
                when op = 't' then 'it was truncated since the cut'
                when op = 'u' and before is null
                    or op <> 'c' and (select count(*) = cardinality($6) and count(*) < $7 from jsonb_object_keys(before))
                    then 'its table has no REPLICA IDENTITY FULL, so old rows are not known'
                when op <> 'c' and $8 then 'it has columns whose old values are kept in another form'
            end
            from (%s) as ahead
            order by 1
            limit 1
            $problem$,
            ahead
        )
        into problem
        using
            here.source, here.epoch, mirror.schema_name, mirror.table_name, cut, mirror.key,
            (select count(*) from log.mirror_column as c
             where c.schema_name = mirror.schema_name and c.table_name = mirror.table_name and c.dropped_at is null),
            exists (
                select from log.mirror_column as c
                where
                    c.schema_name = mirror.schema_name
                    and c.table_name = mirror.table_name
                    and c.dropped_at is null
                    and c.shape is not null
            );
    end if;
    if problem is not null then
        raise object_not_in_prerequisite_state using
            message = format('the mirror of %s.%s cannot be shown at a cut: %s', mirror.schema_name, mirror.table_name, problem),
            hint = 'Ask again in a moment.';
    end if;

    select
        string_agg(format('(ahead.key ->> %L)::%s = mirror.%I', attname, format_type(atttypid, atttypmod), attname), ' and ')
            filter (where attname = any(mirror.key)),
        string_agg(
            case
                when attname = '_deleted' then 'false'
                when attname in ('_lsn', '_seq', '_committed_at')
                    then format('null::%s', format_type(atttypid, atttypmod))
                else format('(ahead.before ->> %L)::%s', attname, format_type(atttypid, atttypmod))
            end,
            ', ' order by attnum
        )
    into joined, taken_back
    from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped;

    return query execute format(
        $rows$
        with ahead as materialized (%s)
        select mirror.* from %s as mirror
        where not mirror._deleted and not exists (select from ahead where %s)
        union all
        select %s from ahead where ahead.before is not null
        $rows$,
        ahead, relation::regclass, joined, taken_back
    )
    using here.source, here.epoch, mirror.schema_name, mirror.table_name, cut;
end
$$;

revoke execute on function ops.at_cut(anyelement) from public;

-- As before, and `whole`: of transactions that committed after as_of nothing is shown in part.
create or replace function ops.watermark() returns jsonb
language sql
stable
as $$
    select
        jsonb_object_agg(
            position.source,
            jsonb_build_object(
                'lsn', position.lsn,
                'committed_at', position.committed_at,
                'as_of', position.updated_at,
                'whole', not exists (select from log.kafka_source as kafka where kafka.source = position.source),
                'totals_lsn', coalesce(waiting.from_lsn, position.lsn),
                'totals_committed_at', state.committed_at,
                'totals_as_of', least(waiting.landed_at, position.updated_at)
            )
        )
    from log.position as position
    left join ops.model_state as state
        on position.source = state.source and state.model = 'c360_account'
    left join lateral (
        select
            batch.from_lsn,
            batch.landed_at
        from log.queue as queue
        inner join log.batch as batch on queue.batch_id = batch.batch_id
        where queue.consumer = 'refresh' and batch.source = position.source
        order by batch.batch_id
        limit 1
    ) as waiting on true
$$;
