{#-
    A full rebuild beside the running hot lane (functions in warehouse/schema/0010_refresh.sql):
    announce it (committed before the build reads anything), let one rebuild of a model run at a time,
    and, in the transaction that swaps the table in, hand the batches that the lane took meanwhile back to its queue.
-#}

{% macro begin_rebuild() -%}
    select ops.begin_rebuild('{{ this.schema }}', '{{ this.identifier }}')
{%- endmacro %}

{% macro lock_rebuild() -%}
    select pg_advisory_xact_lock(hashtextextended('headwater rebuild {{ this.schema }}.{{ this.identifier }}', 0))
{%- endmacro %}

{% macro finish_rebuild() -%}
    select ops.finish_rebuild('{{ this.schema }}', '{{ this.identifier }}')
{%- endmacro %}
