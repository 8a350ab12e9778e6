-- A fiscal year starts in the declared month, has twelve periods in four quarters, and ends in the year it is named after.
select
    date_day,
    fiscal_year,
    fiscal_quarter,
    fiscal_period
from {{ ref('dim_date') }}
where
    fiscal_period <> (calendar_month - {{ var('fiscal_year_start_month') }} + 12) % 12 + 1
    or fiscal_quarter <> (fiscal_period + 2) / 3
    or fiscal_year <> extract(year from (month_start + make_interval(months => 12 - fiscal_period)))
