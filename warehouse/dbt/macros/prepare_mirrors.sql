{% macro prepare_mirrors() -%}
    {#-
        What readers need on the mirror beside what landing makes: indexes for look-ups other than by key
        (meta.indexes), row security for the read API (meta.row_security; a mirror without it shows the API nothing),
        and a way to the changes of a row. May run at any time; touches nothing that stands already and skips mirrors
        that landing has not made yet.
    -#}
    {%- set sources = [] if not execute else graph.sources.values() | rejectattr('source_name', 'equalto', 'ops') | sort(attribute='unique_id') -%}
    {%- set secured = [] %}
do $prepare$
begin
    perform pg_advisory_xact_lock(hashtextextended('headwater prepare mirrors', 0));
    {%- for source in sources %}
    {%- set mirror = source.schema ~ '.' ~ source.name %}
    {%- set meta = source.config.meta %}
    if to_regclass('{{ mirror }}') is not null then
        {%- for columns in meta.indexes or [] %}
        {%- set index = source.name ~ '_' ~ columns | join('_') %}
        if to_regclass('{{ source.schema }}.{{ index }}') is null then
            create index {{ index }} on {{ mirror }} ({{ columns | join(', ') }});
        end if;
        {%- endfor %}
        {%- if meta.row_security %}
        {%- do secured.append(source) %}
        perform ops.secure('{{ mirror }}', 'wh_api', $condition$
            {{- mirror_condition(source, sources) -}}
        $condition$);
        {%- else %}
        perform ops.secure('{{ mirror }}', 'wh_api', 'false');
        {%- endif %}
    end if;
    {%- endfor %}
    perform ops.secure('log.change_log', 'wh_api', 'false');
    if {% for source in secured %}to_regclass('{{ source.schema }}.{{ source.name }}') is not null
        {%- if not loop.last %} and {% endif %}{% endfor %} then
        {{ changes_of(secured, sources) }}
        {{ rows_seen(secured, sources) }}
    end if;
end
$prepare$
{%- endmacro %}


{% macro changes_of(secured, sources) -%}
    {#-
        Changes of the rows with these keys that the reader may see. A function of the owner with the condition written
        out, because under row security of the change log itself the keys could not be looked up in its index (equality
        of jsonb is not leakproof): 3.4 s instead of milliseconds over the changes of AdventureWorks.
    -#}
        drop function if exists ops.changes_of(jsonb);
        create or replace function ops.changes_of(row_keys jsonb []) returns setof log.change_log
        language sql stable security definer
        set search_path = pg_catalog
        as $changes$
            select change.*
            from log.change_log as change
            where change.key = any (row_keys) and (
                {%- for source in secured %}
                {% if not loop.first %}or {% endif %}(
                    change.schema_name = '{{ source.source_name }}' and change.table_name = '{{ source.name }}'
                    and exists (
                        select from {{ source.schema }}.{{ source.name }}
                        where {{ source.config.meta.key }} = (change.key ->> '{{ source.config.meta.key }}')::uuid
                        and ({{ mirror_condition(source, sources) }})
                    )
                )
                {%- endfor %}
            )
        $changes$;
        revoke execute on function ops.changes_of(jsonb []) from public;
        grant execute on function ops.changes_of(jsonb []) to wh_api;
{%- endmacro %}

{% macro rows_seen(secured, sources) -%}
    {#-
        Which of the rows with these keys the reader may see: the condition of ops.changes_of for changes that the change
        log holds no more, which are then read from the lake row by row.
    -#}
        create or replace function ops.rows_seen(row_keys jsonb [])
        returns table (schema_name text, table_name text, key jsonb)
        language sql stable security definer
        set search_path = pg_catalog
        as $rows$
            {%- for source in secured %}
            {% if not loop.first %}union all{% endif %}
            select '{{ source.source_name }}', '{{ source.name }}', row_key
            from unnest(row_keys) as row_key
            where
                row_key ? '{{ source.config.meta.key }}'
                and exists (
                    select from {{ source.schema }}.{{ source.name }}
                    where {{ source.config.meta.key }} = (row_key ->> '{{ source.config.meta.key }}')::uuid
                    and ({{ mirror_condition(source, sources) }})
                )
            {%- endfor %}
        $rows$;
        revoke execute on function ops.rows_seen(jsonb []) from public;
        grant execute on function ops.rows_seen(jsonb []) to wh_api;
{%- endmacro %}

{% macro mirror_condition(source, sources) -%}
    {#- A mirror without scope columns of its own shows its rows to whom it shows the row that they belong to. -#}
    {%- set declaration = source.config.meta.row_security -%}
    {%- if declaration.through -%}
        {%- set above = sources | selectattr('unique_id', 'equalto', 'source.headwater.' ~ declaration.through) | first -%}
        exists (
            select from {{ above.schema }}.{{ above.name }} as visible
            where visible.{{ above.config.meta.key }} = {{ source.name }}.{{ declaration.by }}
            and ({{ row_condition(above.config.meta.row_security) }})
        )
    {%- else -%}
        {{ row_condition(declaration) }}
    {%- endif -%}
{%- endmacro %}
