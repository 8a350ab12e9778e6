{% macro hot_keys(column) -%}
    {#-
        The condition that limits a scan of a growing table to the keys being refreshed; `column` holds the model's
        hot key (meta.hot.key). A full build reads everything. In the compile for the hot lane the condition is a
        marked expression that pipelines/refresh turns into `column = any($1)`, or into `true` to rebuild in place.
    -#}
    {%- if var('hot_lane') -%}
        /*hot_keys*/{{ column }}/*hot_keys*/
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
