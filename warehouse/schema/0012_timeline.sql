-- What the timeline reads: who made a change and why, and which fields it changed.

-- The audit message that a change belongs to: the latest one before it in its transaction. No row: unattributed.
-- Inlined where it is called laterally, so that the primary key of log.transactions answers it.
create function ops.said(of_source text, of_epoch int, of_xid bigint, of_seq int) returns setof log.transactions
language sql
stable
as $$
    select message.*
    from log.transactions as message
    where
        message.source = of_source
        and message.epoch = of_epoch
        and message.xid = of_xid
        and message.seq <= of_seq
    order by message.seq desc, message.lsn desc
    limit 1
$$;

-- Column → {before, after} of what differs between two images, as text; null for nothing. Columns that every write
-- touches are no news. A column that the source did not send (unchanged TOAST) is in neither image's answer.
create function ops.changed_fields(old_image jsonb, new_image jsonb) returns jsonb
language sql
immutable
as $$
    select jsonb_object_agg(new.key, jsonb_build_object('before', old.value, 'after', new.value))
    from jsonb_each_text(new_image) as new
    left join jsonb_each_text(old_image) as old
        on new.key = old.key
    where
        new.value is distinct from old.value
        and new.key not in ('version', 'replica_version', 'hold_version', 'created_at', 'updated_at')
$$;

-- How fresh the read side is, per source. Mirrors hold everything that was committed before lsn, which was so at as_of;
-- the models of the hot lane hold what was committed before totals_lsn, which was so at totals_as_of.
create function ops.watermark() returns jsonb
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
