-- No gap, no overlap: a version begins when the one before it ended, later only after a deletion; and never backwards.
{%- for model, key in (('dim_account_version', 'account_uuid'), ('dim_product_version', 'product_id')) %}
select
    '{{ model }}' as model,
    {{ key }} as row_id,
    version_number
from (
    select
        *,
        lag(valid_to) over row_in_time as ended,
        lag(ended_by) over row_in_time as ended_by_what,
        lag(version_number) over row_in_time as number_before
    from {{ ref(model) }}
    window row_in_time as (
        partition by {{ key }}
        order by version_number
    )
) as version
where
    valid_to <= valid_from
    or version_number <> coalesce(number_before, 0) + 1
    or (number_before is not null and ended is null)
    or ended > valid_from
    or (ended < valid_from and ended_by_what <> 'deletion')
{% if not loop.last %}union all{% endif %}
{%- endfor %}
