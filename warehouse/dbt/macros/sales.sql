{% macro is_sale(status) -%}
    {#- An order counts as sold once it is confirmed and until it is cancelled. -#}
    {{ status }} in ('confirmed', 'shipped', 'closed')
{%- endmacro %}
