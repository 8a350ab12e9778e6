-- Who reads: row-level security on marts and mirrors asks these functions, never a setting that a reader could make.

-- Database roles of people (analysts): whose rows they are, as what, and where.
create table ops.principal (
    role_name name primary key,
    user_id uuid,
    roles text [] not null,
    team_ids uuid [] not null default '{}',
    territory_ids uuid [] not null default '{}'
);

-- The reader of this statement. The read API (wh_api) states per transaction whom it serves in headwater.claims;
-- for every other session the login decides: session_user survives SET ROLE and cannot be SET.
create function ops.reader() returns ops.principal
language plpgsql
stable
security definer
set search_path = pg_catalog
as $$
declare
    claims jsonb;
    found ops.principal;
begin
    if session_user = 'wh_api' then
        claims := nullif(current_setting('headwater.claims', true), '')::jsonb;
        found.role_name := 'wh_api';
        found.user_id := (claims ->> 'sub')::uuid;
        found.roles := array(select jsonb_array_elements_text(claims -> 'roles'));
        found.team_ids := array(select jsonb_array_elements_text(claims -> 'team_ids')::uuid);
        found.territory_ids := array(select jsonb_array_elements_text(claims -> 'territory_ids')::uuid);
    else
        select * into found from ops.principal where role_name = session_user;
    end if;
    return found;
end
$$;

create function ops.reader_has_role(any_of text []) returns boolean
language sql
stable
as $$ select coalesce((ops.reader()).roles && any_of, false) $$;

create function ops.reader_user_id() returns uuid
language sql
stable
as $$ select (ops.reader()).user_id $$;

create function ops.reader_team_ids() returns uuid []
language sql
stable
as $$ select (ops.reader()).team_ids $$;

create function ops.reader_territory_ids() returns uuid []
language sql
stable
as $$ select (ops.reader()).territory_ids $$;

-- Puts row-level security with one reading policy on a table, unless it stands there already: replacing a policy
-- takes a lock that would stop whoever writes the table. readers: roles, comma-separated; condition: SQL over a row.
create function ops.secure(target regclass, readers text, condition text) returns void
language plpgsql
as $$
declare
    wanted text := md5(readers || ' ' || condition);
begin
    if not (select relrowsecurity from pg_class where oid = target) then
        execute format('alter table %s enable row level security', target);
    end if;
    if exists (
        select from pg_policy
        where polrelid = target and polname = 'readers' and obj_description(oid, 'pg_policy') = wanted
    ) then
        return;
    end if;
    execute format('drop policy if exists readers on %s', target);
    execute format('create policy readers on %s for select to %s using (%s)', target, readers, condition);
    execute format('comment on policy readers on %s is %L', target, wanted);
    execute format('grant select on %s to %s', target, readers);
end
$$;
