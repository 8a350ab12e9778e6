-- Writes every schema change of a published table into the stream, as a transactional logical message with prefix
-- headwater.ddl. headwater_ddl.table_version is the shadow catalogue: every version of every published table, so that
-- "before" is known, and so is the primary key at any position of the stream. Installed by a superuser; repeatable.

create schema if not exists headwater_ddl;
grant usage on schema headwater_ddl to public;

-- lsn is the end of the version's message: the version holds for every change of the table from there on, because DDL
-- holds an exclusive lock until its transaction commits. description is null once the table is dropped or unpublished.
create table if not exists headwater_ddl.table_version (
  id bigint generated always as identity primary key,
  relid oid not null,
  lsn pg_lsn not null,
  description jsonb
);
create index if not exists table_version_latest on headwater_ddl.table_version (relid, id desc);
grant select on headwater_ddl.table_version to public;

create or replace function headwater_ddl.describe(oid[], text[])
returns table (relid oid, description jsonb)
language sql
stable
set search_path = pg_catalog, pg_temp
as $describe$
/* describe.sql */
$describe$;

-- The published tables, and those that the shadow catalogue believes to be.
create or replace function headwater_ddl.all_tables()
returns oid[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $all_tables$
  select coalesce(array_agg(distinct relid), '{}')
  from (
    select c.oid
    from pg_publication_tables p
    join pg_namespace n on n.nspname = p.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
    union all
    select relid
    from headwater_ddl.table_version
  ) known (relid)
$all_tables$;

-- Whether existing rows read differently after the change although no row event says so: the table was rewritten, a
-- column changed its type, came with a default, or was generated before, or a type inside it changed its text form.
create or replace function headwater_ddl.rewrites(relid oid, rewritten oid[], before jsonb, after jsonb)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $rewrites$
  select
    relid = any (rewritten)
    or exists (
      select
      from jsonb_array_elements(after -> 'columns') new
      left join jsonb_array_elements(before -> 'columns') old on old -> 0 = new -> 0
      left join pg_attribute a on a.attrelid = relid and a.attnum = (new ->> 0)::int
      where (old is not null and old -> 2 <> new -> 2)
        or (old is null and (a.atthasmissing or a.attnum <= (before ->> 'attributes')::int))
    )
    or exists (
      select
      from jsonb_array_elements(before -> 'types') old
      join jsonb_array_elements(after -> 'types') new on new -> 'oid' = old -> 'oid'
      where old - 'labels' - 'schema' <> new - 'labels' - 'schema'
        or not coalesce(nullif(new -> 'labels', 'null'), '[]') @> coalesce(nullif(old -> 'labels', 'null'), '[]')
    )
$rewrites$;

-- Compares tables with the shadow catalogue, records what differs, and says it in the stream.
create or replace function headwater_ddl.observe(relids oid[], command text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $observe$
declare
  rewritten oid[] := coalesce(string_to_array(nullif(current_setting('headwater_ddl.rewritten', true), ''), ',')::oid[], '{}');
  seen record;
  rewriting boolean;
  at_lsn pg_lsn;
begin
  perform set_config('headwater_ddl.rewritten', '', true);
  for seen in
    select o.relid, shadow.description as before,
      case when now.description -> 'publications' <> '[]' then now.description end as after,
      now.relid is null as dropped
    from (select distinct unnest(relids)) o (relid)
    left join lateral (
      select v.description
      from headwater_ddl.table_version v
      where v.relid = o.relid
      order by v.id desc
      limit 1
    ) shadow on true
    left join headwater_ddl.describe(relids, null) now on now.relid = o.relid
    order by o.relid
  loop
    if seen.after is null then
      -- Out of its publications: the table lives on, but the stream says nothing of it any more.
      continue when seen.before is null;
      rewriting := false;
    elsif seen.before is null then
      rewriting := pg_relation_size(seen.relid) > 0;
    else
      rewriting := headwater_ddl.rewrites(seen.relid, rewritten, seen.before, seen.after);
      continue when not rewriting and seen.before - 'filenode' = seen.after - 'filenode';
    end if;
    at_lsn := pg_current_wal_insert_lsn();
    if seen.before is null or (seen.after is null and seen.dropped) or rewriting
      or seen.before - '{filenode,publications,replica_identity}'::text[]
        <> seen.after - '{filenode,publications,replica_identity}'::text[]
    then
      at_lsn := pg_logical_emit_message(
        true,
        'headwater.ddl',
        jsonb_build_object(
          'relid', seen.relid::bigint,
          'command', command,
          'rewrites', rewriting,
          'before', seen.before,
          'after', seen.after
        )::text
      );
    end if;
    insert into headwater_ddl.table_version (relid, lsn, description)
    values (seen.relid, at_lsn, seen.after);
  end loop;
end
$observe$;

create or replace function headwater_ddl.on_rewrite()
returns event_trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $on_rewrite$
begin
  perform set_config(
    'headwater_ddl.rewritten',
    concat_ws(',', nullif(current_setting('headwater_ddl.rewritten', true), ''), pg_event_trigger_table_rewrite_oid()::oid),
    true
  );
end
$on_rewrite$;

create or replace function headwater_ddl.on_command_end()
returns event_trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $on_command_end$
begin
  if tg_tag in ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') then
    perform headwater_ddl.observe(
      array(
        with recursive affected as (
          select objid as relid
          from pg_event_trigger_ddl_commands()
          where classid = 'pg_class'::regclass
          union
          select i.inhrelid
          from affected a
          join pg_inherits i on i.inhparent = a.relid
        )
        select relid
        from affected
      ),
      tg_tag
    );
  else
    perform headwater_ddl.observe(headwater_ddl.all_tables(), tg_tag);
  end if;
end
$on_command_end$;

create or replace function headwater_ddl.on_drop()
returns event_trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $on_drop$
begin
  if exists (
    select
    from pg_event_trigger_dropped_objects()
    where object_type in ('publication', 'publication relation', 'publication namespace')
  ) then
    perform headwater_ddl.observe(headwater_ddl.all_tables(), tg_tag);
  else
    perform headwater_ddl.observe(
      array(
        select distinct objid
        from pg_event_trigger_dropped_objects()
        where classid = 'pg_class'::regclass and not is_temporary
      ),
      tg_tag
    );
  end if;
end
$on_drop$;

revoke execute on all functions in schema headwater_ddl from public;

do $triggers$
begin
  -- The first version of each published table goes without a message: nobody was told of an earlier one.
  if not exists (select from headwater_ddl.table_version) then
    insert into headwater_ddl.table_version (relid, lsn, description)
    select relid, '0/0', description
    from headwater_ddl.describe(null, null)
    where description -> 'publications' <> '[]';
  end if;

  if not exists (select from pg_event_trigger where evtname = 'headwater_ddl_rewrite') then
    create event trigger headwater_ddl_rewrite on table_rewrite
      execute function headwater_ddl.on_rewrite();
  end if;
  if not exists (select from pg_event_trigger where evtname = 'headwater_ddl_command') then
    create event trigger headwater_ddl_command on ddl_command_end
      when tag in (
        'ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TYPE', 'ALTER SCHEMA', 'CREATE SCHEMA',
        'CREATE PUBLICATION', 'ALTER PUBLICATION', 'CREATE EXTENSION', 'ALTER EXTENSION'
      )
      execute function headwater_ddl.on_command_end();
  end if;
  if not exists (select from pg_event_trigger where evtname = 'headwater_ddl_drop') then
    create event trigger headwater_ddl_drop on sql_drop
      execute function headwater_ddl.on_drop();
  end if;
  alter event trigger headwater_ddl_rewrite enable;
  alter event trigger headwater_ddl_command enable;
  alter event trigger headwater_ddl_drop enable;

  perform headwater_ddl.observe(headwater_ddl.all_tables(), 'INSTALL');
end
$triggers$;
