-- Everything about account $2 in one statement, so that all of it is of one moment; for reader $1. $3 to $8 open the
-- sections (hierarchy, contacts, finance, orders, totals, timeline); one that stays closed is not computed. Row security
-- on every mirror, mart and change limits each section by itself.
with recursive

account as (
    select * from staging.stg_contacts__account
    where account_uuid = $2
),

-- grain: account above, nearest first; ends below the first one that the reader may not see
above as (
    select
        account.parent_account_uuid as next_uuid,
        account.account_uuid,
        account.account_number,
        account.account_name,
        0 as steps,
        array[account.account_uuid] as path
    from account

    union all

    select
        parent.parent_account_uuid as next_uuid,
        parent.account_uuid,
        parent.account_number,
        parent.account_name,
        above.steps + 1 as steps,
        above.path || parent.account_uuid as path
    from above
    inner join staging.stg_contacts__account as parent
        on above.next_uuid = parent.account_uuid
    where parent.account_uuid <> all (above.path)
),

children as (
    select * from staging.stg_contacts__account
    where parent_account_uuid = $2
    order by account_number
    limit 100
),

-- grain: contact x role in this account; null is the role of those who belong to it
people as (
    select
        contact_id,
        null as contact_role
    from staging.stg_contacts__contact
    where account_uuid = $2

    union

    select
        contact_id,
        contact_role
    from staging.stg_contacts__account_contact
    where account_uuid = $2
),

contacts as (
    select
        contact.contact_id,
        contact.first_name,
        contact.last_name,
        contact.job_title,
        contact.email,
        contact.phone,
        contact.version,
        array_remove(array_agg(people.contact_role order by people.contact_role), null) as roles
    from people
    inner join staging.stg_contacts__contact as contact
        on people.contact_id = contact.contact_id
    group by 1, 2, 3, 4, 5, 6, 7
    order by contact.last_name, contact.first_name, contact.contact_id
    limit 100
),

orders as (
    select * from staging.stg_orders__sales_order
    where account_uuid = $2
    order by order_date desc, order_number desc
    limit 20
),

changes as (
    select
        change.committed_at,
        change.lsn,
        change.seq,
        change.schema_name || '.' || change.table_name as object,
        change.op,
        said.actor,
        said.actor_name,
        said.command,
        said.reason,
        said.request_id,
        ops.changed_fields(change.before, change.after) as fields
    from ops.changes_of(array[jsonb_build_object('account_uuid', $2)]) as change
    left join lateral ops.said(change.source, change.epoch, change.xid, change.lsn) as said on true
    order by change.committed_at desc, change.lsn desc, change.seq desc
    limit 50
)

select
    ops.tokens_valid_from($1) as tokens_valid_from,
    (
        select
            json_build_object(
                'account', json_build_object(
                    'account_uuid', account.account_uuid,
                    'account_number', account.account_number,
                    'name', account.account_name,
                    'account_type', account.account_type,
                    'status', account.account_status,
                    'status_before_hold', account.status_before_hold,
                    'primary_contact_kind', account.primary_contact_kind,
                    'primary_contact_id', account.primary_contact_id,
                    'billing_address', account.billing_address,
                    'shipping_address', account.shipping_address,
                    'industry', account.industry,
                    'annual_revenue', account.annual_revenue::text,
                    'currency', account.currency,
                    'parent_id', account.parent_account_uuid,
                    'owner_id', account.owner_id,
                    'team_id', account.team_id,
                    'territory_id', account.territory_id,
                    'custom', account.custom,
                    'version', account.version,
                    'created_at', account.created_at,
                    'updated_at', account.updated_at
                ),
                'hierarchy', case when $3 then json_build_object(
                    'ancestors', (
                        select coalesce(json_agg(json_build_object(
                            'account_uuid', above.account_uuid,
                            'account_number', above.account_number,
                            'name', above.account_name
                        ) order by above.steps desc), '[]')
                        from above
                        where above.steps > 0
                    ),
                    'children', (
                        select coalesce(json_agg(json_build_object(
                            'account_uuid', children.account_uuid,
                            'account_number', children.account_number,
                            'name', children.account_name,
                            'status', children.account_status
                        )), '[]')
                        from children
                    )
                ) end,
                'contacts', case when $4 then (
                    select coalesce(json_agg(json_build_object(
                        'contact_id', contacts.contact_id,
                        'first_name', contacts.first_name,
                        'last_name', contacts.last_name,
                        'job_title', contacts.job_title,
                        'email', contacts.email,
                        'phone', contacts.phone,
                        'version', contacts.version,
                        'roles', contacts.roles
                    )), '[]')
                    from contacts
                ) end,
                'finance', case when $5 then (
                    select json_build_object(
                        'tax_id', profile.tax_id,
                        'credit_limit', profile.credit_limit::text,
                        'balance_due', profile.balance_due::text,
                        'currency', profile.currency,
                        'payment_terms', profile.payment_terms,
                        'on_credit_hold', profile.on_credit_hold,
                        'hold_reason', profile.hold_reason,
                        'hold_since', profile.hold_since,
                        'version', profile.version
                    )
                    from staging.stg_finance__account_profile as profile
                    where profile.account_uuid = $2
                ) end,
                'orders', case when $6 then (
                    select coalesce(json_agg(json_build_object(
                        'order_id', orders.order_id,
                        'order_number', orders.order_number,
                        'status', orders.order_status,
                        'channel', orders.channel,
                        'order_date', orders.order_date,
                        'due_date', orders.due_date,
                        'ship_date', orders.ship_date,
                        'currency', orders.currency,
                        'sub_total', orders.sub_total::text,
                        'total_due', (orders.sub_total + orders.tax_amount + orders.freight)::text
                    )), '[]')
                    from orders
                ) end,
                'totals', case when $7 then (
                    select json_build_object(
                        'order_count', mart.order_count,
                        'first_order_date', mart.first_order_date,
                        'last_order_date', mart.last_order_date,
                        'order_count_365d', mart.order_count_365d,
                        'as_of', mart.as_of,
                        'currency', mart.currency,
                        'lifetime_order_count', mart.lifetime_order_count,
                        'lifetime_line_net', mart.lifetime_line_net::text,
                        'lifetime_total_due', mart.lifetime_total_due::text,
                        'average_order_value', mart.average_order_value::text,
                        'by_currency', mart.totals_by_currency,
                        'contact_count', mart.contact_count,
                        'child_count', mart.child_count,
                        'credit_available', mart.credit_available::text
                    )
                    from reporting.c360_account as mart
                    where mart.account_uuid = $2
                ) end,
                'timeline', case when $8 then (
                    select coalesce(json_agg(json_build_object(
                        'at', changes.committed_at,
                        'object', changes.object,
                        'op', changes.op,
                        'actor', changes.actor,
                        'actor_name', changes.actor_name,
                        'command', changes.command,
                        'reason', changes.reason,
                        'request_id', changes.request_id,
                        'fields', coalesce(changes.fields, '{}')
                    ) order by changes.committed_at desc, changes.lsn desc, changes.seq desc), '[]')
                    from changes
                    where changes.op = 'd' or changes.fields is not null
                ) end,
                'watermark', ops.watermark()
            )::text
        from account
    ) as body
