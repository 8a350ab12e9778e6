{#-
    Row-level security of marts and mirrors. A declaration (meta.row_security) is one of
      public                                   every reader sees every row;
      {readers_of: inventory.product}          roles that may read that resource see every row;
      {object: contacts.account}               rows in the reader's scope, by owner_id, team_id and territory_id;
      {object: [a, b], columns: [territory_id]}  in scope for each of several resources, by the columns there are.
    Which role reaches which rows comes from policy/ (macros/read_scopes.sql).
-#}

{% macro row_condition(declaration) -%}
    {%- if declaration == 'public' -%}
        true
    {%- elif declaration.readers_of -%}
        {{ has_role(read_scopes()[declaration.readers_of].values() | sum(start=[])) }}
    {%- else -%}
        {%- set objects = [declaration.object] if declaration.object is string else declaration.object -%}
        {%- for object in objects -%}
            ({{ scope_condition(read_scopes()[object], declaration.columns or ['owner_id', 'team_id', 'territory_id']) }})
            {%- if not loop.last %} and {% endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro scope_condition(scopes, columns) -%}
    {#- Scalar sub-selects are evaluated once a statement, not once a row. -#}
    {{ has_role(scopes.all) }}
    {%- if 'owner_id' in columns %}
    or (owner_id = (select ops.reader_user_id()) and {{ has_role(scopes.own) }})
    {%- endif %}
    {%- if 'team_id' in columns %}
    or (team_id = any ((select ops.reader_team_ids())::uuid[]) and {{ has_role(scopes.team) }})
    {%- endif %}
    {%- if 'territory_id' in columns %}
    or (territory_id = any ((select ops.reader_territory_ids())::uuid[]) and {{ has_role(scopes.territory) }})
    {%- endif %}
{%- endmacro %}

{% macro has_role(roles) -%}
    (select ops.reader_has_role(array[{% for role in roles | unique | sort %}'{{ role }}'{{ ', ' if not loop.last }}{% endfor %}]::text[]))
{%- endmacro %}

{% macro secure_mart() -%}
    {#- Post-hook of every mart, in the transaction that swaps the table in: it is never there without security. -#}
    select ops.secure('{{ this.schema }}.{{ this.identifier }}', 'wh_api, wh_analyst', $condition$
        {{ row_condition(model.config.meta.row_security) if execute }}
    $condition$)
{%- endmacro %}
