-- Sales of account $2 by calendar year and currency, for reader $1; zeros for years between without a sale in the
-- account's own currency, so that a chart has no gap.
with account as (
    select
        account_uuid,
        account_number,
        currency
    from staging.stg_contacts__account
    where account_uuid = $2
),

-- grain: year x currency
sold as (
    select
        extract(year from order_date)::int as year,
        currency,
        count(*) as order_count,
        sum(line_net_total) as line_net,
        sum(total_due) as total_due
    from marts.fct_sales_order
    where account_uuid = $2 and is_sale
    group by 1, 2
),

years as (
    select
        year,
        account.currency
    from account
    cross join generate_series((select min(year) from sold), (select max(year) from sold)) as year
),

complete as (
    select
        year,
        currency,
        coalesce(sold.order_count, 0) as order_count,
        coalesce(sold.line_net, 0) as line_net,
        coalesce(sold.total_due, 0) as total_due
    from years
    full join sold using (year, currency)
)

select
    ops.tokens_valid_from($1) as tokens_valid_from,
    (
        select
            jsonb_build_object(
                'account_uuid', account.account_uuid,
                'account_number', account.account_number,
                'currency', account.currency,
                'years', coalesce(
                    (
                        select
                            jsonb_agg(
                                jsonb_build_object(
                                    'year', complete.year,
                                    'currency', complete.currency,
                                    'order_count', complete.order_count,
                                    'line_net', complete.line_net::text,
                                    'total_due', complete.total_due::text
                                )
                                order by complete.year, complete.currency
                            )
                        from complete
                    ),
                    '[]'
                ),
                'watermark', ops.watermark()
            )
        from account
    ) as document
