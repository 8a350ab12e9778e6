{% macro versions(schema, table, key, state_key) -%}
    {#-
        The common part of a dimension with a history (SCD2): from the changes of a source table to intervals.
        `attributes` maps columns of the result to SQL over `state` (jsonb of text forms, the row after the change); the
        caller's block renders that object. A new interval begins where it differs. Commit times date what the stream
        has put in order already, so a source clock that was set back cannot turn an interval round; of several changes
        with one commit time the last one counts.
    -#}
-- grain: change of a row; a deletion has no state
told as (
    select
        (change.key ->> '{{ key }}')::uuid as {{ state_key }},
        change.op,
        change.epoch_began,
        change.batch_id,
        change.commit_no,
        change.lsn,
        change.seq,
        change.committed_at,
        case when change.op <> 'd' then coalesce(change.before, '{}') || change.after end as state
    from {{ source('ops', 'dimension_changes') }} as change
    where
        change.schema_name = '{{ schema }}'
        and change.table_name = '{{ table }}'
        and change.op <> 't'
        and {{ hot_keys('ops.dimension_key(change.schema_name, change.table_name, change.key)') }}
),

-- grain: row x time its whole table was emptied
emptied as (
    select distinct
        told.{{ state_key }},
        change.op,
        change.epoch_began,
        change.batch_id,
        change.commit_no,
        change.lsn,
        change.seq,
        change.committed_at,
        null::jsonb as state
    from {{ source('ops', 'dimension_changes') }} as change
    cross join told
    where
        change.schema_name = '{{ schema }}'
        and change.table_name = '{{ table }}'
        and change.op = 't'
),

-- What was read again beside the stream holds all that stands before its position in the log, read_at.
history as (
    select
        *,
        coalesce(max(lsn) filter (where op = 'r') over (
            partition by {{ state_key }}, epoch_began
            order by lsn
        ), '0/0') as read_at
    from (
        select * from told
        union all
        select * from emptied
    ) as either
),

-- Commits decide which change is the later one: batches come in their order, and so do a batch's transactions.
event as (
    select
        {{ state_key }},
        state,
        row_number() over row_in_time as place,
        max(committed_at) over row_in_time as since
    from history
    window row_in_time as (
        partition by {{ state_key }}
        order by epoch_began, read_at, op <> 'r', batch_id, commit_no, committed_at, lsn, seq
        rows unbounded preceding
    )
),

-- grain: row x commit time
moment as (
    select distinct on ({{ state_key }}, since)
        *,
        case when state is not null then {{ caller() }} end as attributes
    from event
    order by {{ state_key }}, since, place desc
),

-- grain: row x time at which it began to be something else, or nothing
turn as (
    select *
    from (
        select
            moment.*,
            lag(attributes) over row_in_time as attributes_before,
            first_value(state) over (
                partition by {{ state_key }}
                order by since desc
            ) as state_now
        from moment
        window row_in_time as (
            partition by {{ state_key }}
            order by since
        )
    ) as compared
    where attributes is distinct from attributes_before
),

interval_of_row as (
    select *
    from (
        select
            turn.*,
            lead(since) over row_in_time as valid_to,
            lead(attributes) over row_in_time as attributes_after,
            row_number() over row_in_time = 1 as is_first
        from turn
        window row_in_time as (
            partition by {{ state_key }}
            order by since
        )
    ) as followed
    where attributes is not null
),

-- grain: row x interval in which nothing of it changed; state_now is the row as it is today, null once it is gone
version as (
    select
        {{ state_key }},
        row_number() over (
            partition by {{ state_key }}
            order by since
        )::integer as version_number,
        -- What was there before it was first streamed began when the source says it was created.
        case
            when is_first then least(since, (state ->> 'created_at')::timestamptz)
            else since
        end as valid_from,
        valid_to,
        valid_to is null as is_current,
        case
            when valid_to is null then null
            when attributes_after is null then 'deletion'
            else 'change'
        end as ended_by,
        attributes,
        state_now
    from interval_of_row
)
{%- endmacro %}


{% macro state_object(names) -%}
    {#- jsonb of the row's columns with these names. -#}
    jsonb_build_object(
    {%- for name in names %}'{{ name }}', state -> '{{ name }}'{{ ', ' if not loop.last }}{% endfor -%}
    )
{%- endmacro %}
