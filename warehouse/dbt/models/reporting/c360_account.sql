with account as (
    select * from {{ ref('dim_account') }}
    where {{ hot_keys('account_uuid') }}
),

as_of as (
    select as_of from {{ source('ops', 'as_of') }}
),

-- grain: account
sales as (
    select
        orders.account_uuid,
        count(*) as order_count,
        min(orders.order_date) as first_order_date,
        max(orders.order_date) as last_order_date,
        count(*) filter (
            where orders.order_date > as_of.as_of - 365 and orders.order_date <= as_of.as_of
        ) as order_count_365d
    from {{ ref('fct_sales_order') }} as orders
    cross join as_of
    where
        orders.is_sale
        and {{ hot_keys('orders.account_uuid') }}
    group by orders.account_uuid
),

-- grain: account x currency: amounts of different currencies are never added
sales_by_currency as (
    select
        account_uuid,
        currency,
        count(*) as order_count,
        sum(line_net_total) as line_net_total,
        sum(total_due) as total_due
    from {{ ref('fct_sales_order') }}
    where
        is_sale
        and {{ hot_keys('account_uuid') }}
    group by account_uuid, currency
),

-- grain: account
totals_by_currency as (
    select
        account_uuid,
        jsonb_object_agg(
            currency,
            jsonb_build_object(
                'order_count', order_count,
                'line_net', line_net_total::text,
                'total_due', total_due::text
            )
        ) as totals_by_currency
    from sales_by_currency
    group by account_uuid
),

-- grain: account x contact: people of the account and people linked to it
people as (
    select
        account_uuid,
        contact_id
    from {{ ref('stg_contacts__contact') }}
    where {{ hot_keys('account_uuid') }}

    union

    select
        link.account_uuid,
        link.contact_id
    from {{ ref('stg_contacts__account_contact') }} as link
    inner join {{ ref('stg_contacts__contact') }} as contact
        on link.contact_id = contact.contact_id
    where {{ hot_keys('link.account_uuid') }}
),

-- grain: account
contacts as (
    select
        account_uuid,
        count(*) as contact_count
    from people
    group by account_uuid
),

-- grain: account
children as (
    select
        parent_account_uuid as account_uuid,
        count(*) as child_count
    from {{ ref('dim_account') }}
    where {{ hot_keys('parent_account_uuid') }}
    group by parent_account_uuid
),

finance as (
    select * from {{ ref('stg_finance__account_profile') }}
    where {{ hot_keys('account_uuid') }}
)

select
    account.account_uuid,
    account.account_number,
    account.account_name,
    account.account_type,
    account.account_status,
    account.currency,
    as_of.as_of,
    coalesce(sales.order_count, 0) as order_count,
    sales.first_order_date,
    sales.last_order_date,
    coalesce(sales.order_count_365d, 0) as order_count_365d,
    coalesce(own.order_count, 0) as lifetime_order_count,
    coalesce(own.line_net_total, 0) as lifetime_line_net,
    coalesce(own.total_due, 0) as lifetime_total_due,
    {{ divide('own.total_due', 'own.order_count') }} as average_order_value,
    coalesce(totals_by_currency.totals_by_currency, '{}'::jsonb) as totals_by_currency,
    coalesce(contacts.contact_count, 0) as contact_count,
    coalesce(children.child_count, 0) as child_count,
    account.root_account_uuid,
    account.hierarchy_depth,
    finance.credit_limit,
    finance.balance_due,
    finance.credit_limit - finance.balance_due as credit_available,
    coalesce(finance.on_credit_hold, false) as on_credit_hold,
    finance.payment_terms,
    account.owner_id,
    account.team_id,
    account.territory_id
from account
cross join as_of
left join sales
    on account.account_uuid = sales.account_uuid
left join sales_by_currency as own
    on account.account_uuid = own.account_uuid and account.currency = own.currency
left join totals_by_currency
    on account.account_uuid = totals_by_currency.account_uuid
left join contacts
    on account.account_uuid = contacts.account_uuid
left join children
    on account.account_uuid = children.account_uuid
left join finance
    on account.account_uuid = finance.account_uuid
