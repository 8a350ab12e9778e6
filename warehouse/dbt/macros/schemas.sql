{% macro make_schemas() -%}
    {#- Analysts may look into what is secured row by row; staging and intermediate stay with the owner. -#}
    create schema if not exists staging;
    create schema if not exists intermediate;
    create schema if not exists marts;
    create schema if not exists reporting;
    grant usage on schema marts, reporting, ops to wh_api, wh_analyst
{%- endmacro %}
