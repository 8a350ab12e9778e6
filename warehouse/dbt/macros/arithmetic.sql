{% macro divide(numerator, denominator) -%}
    {#- Division that answers null, not an error, where there is nothing to divide by. -#}
    (({{ numerator }}) / nullif({{ denominator }}, 0))
{%- endmacro %}
