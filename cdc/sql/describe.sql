-- $1 oid[]: tables by oid, or null for every table of the schemas in $2 (null: of every schema but PostgreSQL's own).
-- One row a permanent table: its columns as the stream carries them (dropped and generated ones are not), its primary
-- key, its publications, and every type reachable from its columns through domains, arrays and composites.
-- Run it with search_path = pg_catalog, so that format_type qualifies every type of a user.
with recursive relation as (
  select c.oid, n.nspname, c.relname, c.relreplident, pg_relation_filenode(c.oid) as filenode, c.relnatts
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and c.relpersistence = 'p'
    and (c.oid = any ($1::oid[]) or $1::oid[] is null)
    and (n.nspname = any ($2::text[]) or $2::text[] is null)
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'headwater_ddl')
),
publication as materialized (
  select schemaname, tablename, jsonb_agg(pubname order by pubname) as names
  from pg_publication_tables
  group by schemaname, tablename
),
attribute as (
  select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
    format_type(a.atttypid, a.atttypmod) as type_name,
    pg_get_expr(d.adbin, d.adrelid) as default_expression
  from relation r
  join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
),
reachable as (
  select attrelid, atttypid as oid
  from attribute
  union
  select s.attrelid, next.oid
  from reachable s
  join pg_type t on t.oid = s.oid
  cross join lateral (
    select t.typbasetype as oid
    where t.typtype = 'd'
    union all
    select t.typelem
    where t.typelem <> 0 and t.typlen = -1
    union all
    select f.atttypid
    from pg_attribute f
    where t.typtype = 'c' and f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped
  ) next
)
select
  r.oid as relid,
  jsonb_build_object(
    'schema', r.nspname,
    'table', r.relname,
    'replica_identity', r.relreplident,
    'filenode', coalesce(r.filenode, 0)::bigint,
    'columns', coalesce((
      select jsonb_agg(
        jsonb_build_array(a.attnum, a.attname, a.atttypid::bigint, a.atttypmod, a.type_name, a.attnotnull,
          a.default_expression)
        order by a.attnum)
      from attribute a
      where a.attrelid = r.oid
    ), '[]'),
    'key', coalesce((
      select jsonb_agg(a.attname order by k.place)
      from pg_index i
      cross join lateral unnest(i.indkey::int2[]) with ordinality k (attnum, place)
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where i.indrelid = r.oid and i.indisprimary and k.place <= i.indnkeyatts
    ), '[]'),
    'attributes', r.relnatts,
    'publications', coalesce((
      select p.names
      from publication p
      where p.schemaname = r.nspname and p.tablename = r.relname
    ), '[]'),
    'types', coalesce((
      select jsonb_agg(
        jsonb_build_object(
          'oid', t.oid::bigint,
          'kind', t.typtype,
          'schema', n.nspname,
          'base', t.typbasetype::bigint,
          'base_name', case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
          'element', t.typelem::bigint,
          'delimiter', t.typdelim,
          'fields', (
            select jsonb_agg(jsonb_build_array(f.attname, f.atttypid::bigint, format_type(f.atttypid, f.atttypmod))
              order by f.attnum)
            from pg_attribute f
            where t.typtype = 'c' and f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped
          ),
          'labels', (
            select jsonb_agg(e.enumlabel order by e.enumsortorder)
            from pg_enum e
            where e.enumtypid = t.oid
          ))
        order by t.oid)
      from reachable s
      join pg_type t on t.oid = s.oid
      join pg_namespace n on n.oid = t.typnamespace
      where s.attrelid = r.oid
    ), '[]')
  ) as description
from relation r
order by r.nspname, r.relname
