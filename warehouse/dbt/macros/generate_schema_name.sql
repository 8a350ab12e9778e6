{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- A model's schema is its layer, exactly as the folder declares it, in every environment. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
