{% macro prepare_mirrors() -%}
    {#-
        What readers need on the mirror beside what landing makes: indexes for look-ups other than by key
        (meta.indexes) and row security for the read API (meta.row_security; a mirror without it shows the API
        nothing). A change shows to whom the row that it changed shows. May run at any time; touches nothing that
        stands already and skips mirrors that landing has not made yet.
    -#}
    {%- set sources = [] if not execute else graph.sources.values() | rejectattr('source_name', 'equalto', 'ops') | sort(attribute='unique_id') -%}
    {%- set secured = [] %}
do $prepare$
begin
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
    if {% for source in secured %}to_regclass('{{ source.schema }}.{{ source.name }}') is not null
        {%- if not loop.last %} and {% endif %}{% endfor %} then
        perform ops.secure('log.change_log', 'wh_api', $condition$
            {%- for source in secured %}
            {% if not loop.first %}or {% endif %}(
                schema_name = '{{ source.source_name }}' and table_name = '{{ source.name }}'
                and {{ is_visible(source, "(change_log.key ->> '" ~ source.config.meta.key ~ "')::uuid") }}
            )
            {%- endfor %}
        $condition$);
    end if;
end
$prepare$
{%- endmacro %}


{% macro mirror_condition(source, sources) -%}
    {#- A mirror without scope columns of its own shows its rows to whom it shows the row that they belong to. -#}
    {%- set declaration = source.config.meta.row_security -%}
    {%- if declaration.through -%}
        {%- set above = sources | selectattr('unique_id', 'equalto', 'source.headwater.' ~ declaration.through) | first -%}
        {{ is_visible(above, source.name ~ '.' ~ declaration.by) }}
    {%- else -%}
        {{ row_condition(declaration) }}
    {%- endif -%}
{%- endmacro %}

{% macro is_visible(source, key) -%}
    exists (select from {{ source.schema }}.{{ source.name }} as visible where visible.{{ source.config.meta.key }} = {{ key }})
{%- endmacro %}
