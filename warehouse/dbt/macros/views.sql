{% macro postgres__create_view_as(relation, sql) -%}
    {#- Views check the privileges and row security of who reads, not of who made them. -#}
    create view {{ relation }} with (security_invoker = true) as (
        {{ sql }}
    );
{%- endmacro %}
