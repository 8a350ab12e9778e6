{% set fiscal_start = var('fiscal_year_start_month') %}

with days as (
    select generate_series('2005-01-01'::timestamp, '2035-12-31'::timestamp, '1 day')::date as date_day
),

-- moving the day back by the fiscal offset turns fiscal periods into calendar ones
shifted as (
    select
        date_day,
        (date_day - make_interval(months => {{ fiscal_start - 1 }}))::date as fiscal_day
    from days
)

select
    date_day,
    extract(year from date_day)::int as calendar_year,
    extract(quarter from date_day)::int as calendar_quarter,
    extract(month from date_day)::int as calendar_month,
    extract(day from date_day)::int as day_of_month,
    extract(doy from date_day)::int as day_of_year,
    extract(isodow from date_day)::int as iso_weekday,
    extract(isoyear from date_day)::int as iso_year,
    extract(week from date_day)::int as iso_week,
    extract(isodow from date_day) >= 6 as is_weekend,
    date_trunc('month', date_day)::date as month_start,
    date_trunc('quarter', date_day)::date as quarter_start,
    to_char(date_day, 'YYYY-MM') as calendar_month_label,
    -- a fiscal year is named after the calendar year in which it ends
    (extract(year from fiscal_day) + {{ 0 if fiscal_start == 1 else 1 }})::int as fiscal_year,
    extract(quarter from fiscal_day)::int as fiscal_quarter,
    extract(month from fiscal_day)::int as fiscal_period
from shifted
