-- Who reads: row-level security on marts and mirrors asks these functions, never a setting that a reader could make.

-- Database roles of people (analysts), and whose they are. What such a person may see follows identity, as it streams.
create table ops.principal (
    role_name name primary key,
    user_id uuid not null
);

create type ops.rights as (
    user_id uuid,
    roles text [],
    team_ids uuid [],
    territory_ids uuid []
);

-- A person's rights as identity has them now: roles by name and by group, their team and every team below it.
create function ops.rights_of(person uuid) returns ops.rights
language plpgsql
stable
security definer
set search_path = pg_catalog
as $$
declare
    found ops.rights;
    own_team uuid;
begin
    select account.id, account.team_id, account.territory_ids
    into found.user_id, own_team, found.territory_ids
    from raw_identity.user_account as account
    where account.id = person and account.is_active and not account._deleted;

    if found.user_id is null then
        return null;
    end if;

    found.roles := array(
        select assignment.role
        from raw_identity.role_assignment as assignment
        where assignment.user_id = person and not assignment._deleted
        union
        select unnest(user_group.roles)
        from raw_identity.group_membership as membership
        inner join raw_identity.user_group as user_group on membership.group_id = user_group.id
        where membership.user_id = person and not membership._deleted and not user_group._deleted
    );
    found.team_ids := array(
        with recursive below as (
            select own_team as id where own_team is not null
            union
            select team.id
            from raw_identity.team as team
            inner join below on team.parent_id = below.id
            where not team._deleted
        )
        select below.id from below
    );
    return found;
end
$$;

-- The rights of the reader of this statement. The read API (wh_api) states per transaction whom it serves in
-- headwater.claims; for every other session the login decides: session_user survives SET ROLE and cannot be SET.
create function ops.reader() returns ops.rights
language plpgsql
stable
security definer
set search_path = pg_catalog
as $$
declare
    claims jsonb;
    found ops.rights;
begin
    if session_user = 'wh_api' then
        claims := nullif(current_setting('headwater.claims', true), '')::jsonb;
        found.user_id := (claims ->> 'sub')::uuid;
        found.roles := array(select jsonb_array_elements_text(claims -> 'roles'));
        found.team_ids := array(select jsonb_array_elements_text(claims -> 'team_ids')::uuid);
        found.territory_ids := array(select jsonb_array_elements_text(claims -> 'territory_ids')::uuid);
        return found;
    end if;
    select rights.* into found
    from ops.principal
    cross join ops.rights_of(principal.user_id) as rights
    where principal.role_name = session_user;
    return found;
end
$$;

-- Tokens of this person from before this second (Unix) are refused; null if identity does not know the person.
create function ops.tokens_valid_from(person uuid) returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog
as $$
begin
    return (select account.tokens_valid_from from raw_identity.user_account as account where account.id = person);
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
