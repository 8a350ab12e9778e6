-- Changes of the rows that belong to record $2, newest first, for reader $1: those after the place ($3 to $8, the last
-- change of the page before; all null for the first page), at most $9. bi/timeline.py fills in which rows belong to the
-- record, and what of it must be visible for anything to be shown.
-- Days past keeping are in the lake alone. What was committed after all of them (reach.border) is told from here; a page
-- beyond that is told from here and from the lake together, for which the answer names the rows that the reader may see.
with reach as (
    select
        max(last_committed_at) as border,
        max(landed_on) as last_day,
        coalesce($3::timestamptz <= max(last_committed_at) + interval '1 microsecond', false) as beyond
    from log.dropped_day
),

keys as (
    select coalesce(array_agg(distinct subject_row.key), '{}') as keys
    from (
        {rows}
    ) as subject_row (key)
),

changes as (
    select
        change.*,
        change.schema_name || '.' || change.table_name as object,
        coalesce(change.after, change.before) as image
    from keys
    cross join reach
    cross join lateral ops.changes_of(keys.keys) as change
    where
        (reach.border is null or reach.beyond or change.committed_at > reach.border)
        -- What a first load found says that it was there; a repair or a re-read found it again, which is no news.
        and (change.op <> 'r' or (change.lsn = '0/0' and change.epoch = 1))
        and (
            $3::timestamptz is null
            or (
                change.committed_at,
                change.lsn,
                change.seq,
                change.source collate "C",
                (change.schema_name || '.' || change.table_name) collate "C",
                change.key
            ) < ($3, $4::pg_lsn, $5::int, $6::text, $7::text, $8::jsonb)
        )
        -- An update that changed nothing but its version is no news.
        and (change.op <> 'u' or ops.changed_fields(change.before, change.after) is not null)
    order by
        change.committed_at desc,
        change.lsn desc,
        change.seq desc,
        change.source collate "C" desc,
        (change.schema_name || '.' || change.table_name) collate "C" desc,
        change.key desc
    limit $9
)

select
    ops.tokens_valid_from($1) as tokens_valid_from,
    (
        select
            jsonb_build_object(
                'watermark', ops.watermark(),
                'archive', (
                    select
                        jsonb_build_object(
                            'border', reach.border,
                            'last_day', reach.last_day,
                            'beyond', reach.beyond,
                            'kept_days', (
                                select coalesce(jsonb_agg(kept.day), '[]')
                                from (
                                    select to_date(right(partition.relname, 8), 'YYYYMMDD') as day
                                    from pg_catalog.pg_inherits as child
                                    inner join pg_catalog.pg_class as partition on child.inhrelid = partition.oid
                                    where child.inhparent = 'log.change_log'::regclass
                                ) as kept
                                where kept.day <= reach.last_day
                            ),
                            'rows', case
                                when reach.beyond then (
                                    select coalesce(jsonb_agg(seen), '[]')
                                    from keys
                                    cross join lateral ops.rows_seen(keys.keys) as seen
                                )
                            end
                        )
                    from reach
                    where reach.border is not null
                ),
                'changes', coalesce(
                    (
                        select
                            jsonb_agg(
                                jsonb_build_object(
                                    'at', changes.committed_at,
                                    'lsn', changes.lsn,
                                    'seq', changes.seq,
                                    'source', changes.source,
                                    'object', changes.object,
                                    'key', changes.key,
                                    'op', changes.op,
                                    'image', changes.image,
                                    'fields', case
                                        when changes.op <> 'r' then ops.changed_fields(changes.before, changes.after)
                                    end,
                                    'actor', said.actor,
                                    'actor_name', said.actor_name,
                                    'command', said.command,
                                    'reason', said.reason,
                                    'request_id', said.request_id
                                )
                                order by
                                    changes.committed_at desc,
                                    changes.lsn desc,
                                    changes.seq desc,
                                    changes.source collate "C" desc,
                                    changes.object collate "C" desc,
                                    changes.key desc
                            )
                        from changes
                        left join lateral ops.said(changes.source, changes.epoch, changes.xid, changes.lsn) as said
                            on true
                    ),
                    '[]'
                )
            )
        where
            {subject}
            -- Locks the change log before this statement's snapshot is taken: a day that is dropped meanwhile is either
            -- still read here, or among the dropped ones.
            and not exists (select from log.change_log where false)
    ) as document
