{% macro require_declarations() -%}
    {#- Refuses to build anything while a mart lacks its owner, descriptions, contract or row security. -#}
    {%- if execute -%}
        {%- set faults = [] -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' -%}
            {%- if not node.description -%}{%- do faults.append(node.name ~ ': no description') -%}{%- endif -%}
            {%- for column in node.columns.values() if not column.description -%}
                {%- do faults.append(node.name ~ '.' ~ column.name ~ ': no description') -%}
            {%- endfor -%}
            {%- if node.schema in ('marts', 'reporting') -%}
                {%- set meta = node.config.meta -%}
                {%- if not meta.owner -%}{%- do faults.append(node.name ~ ': no meta.owner') -%}{%- endif -%}
                {%- if not node.config.contract.enforced -%}
                    {%- do faults.append(node.name ~ ': contract not enforced') -%}
                {%- endif -%}
                {%- if not meta.row_security -%}
                    {%- do faults.append(node.name ~ ': meta.row_security must be `public`, {roles: [...]} or'
                        ~ ' {object: <service>.<table>}') -%}
                {%- endif -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if faults -%}
            {{ exceptions.raise_compiler_error('Models that may not be built:\n  ' ~ faults | join('\n  ')) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
