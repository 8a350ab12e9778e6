-- The only way in for services. Each function runs as hw_dispatch and serves the consumer whose role logged in:
-- session_user, which neither SET ROLE nor a session variable changes. Reapplied at each migration.

create or replace function stream.require_consumer(p_consumer text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if session_user <> 'hw_' || p_consumer and not pg_has_role(session_user, 'hw_dispatch', 'member') then
        raise exception 'role % may not act for consumer %', session_user, p_consumer
            using errcode = 'insufficient_privilege', hint = 'Log in as hw_' || p_consumer || '.';
    end if;
end
$$;

-- Declares exactly which events a consumer wants: what is absent from the arrays ends. Events that were dispatched
-- before are not sent again. Returns the number of subscriptions added.
create or replace function stream.subscribe(p_consumer text, p_event_types text[], p_aggregate_types text[])
returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    added int;
begin
    perform stream.require_consumer(p_consumer);
    delete from stream.subscription s
    where s.consumer = p_consumer
      and not exists (
          select from unnest(p_event_types, p_aggregate_types) as w(event_type, aggregate_type)
          where (w.event_type, w.aggregate_type) = (s.event_type, s.aggregate_type)
      );
    insert into stream.subscription (consumer, event_type, aggregate_type)
    select p_consumer, w.event_type, w.aggregate_type
    from unnest(p_event_types, p_aggregate_types) as w(event_type, aggregate_type)
    on conflict do nothing;
    get diagnostics added = row_count;
    return added;
end
$$;

-- True if this session is the one that claims for the consumer until p_seconds from now.
create or replace function stream.take_lease(p_consumer text, p_seconds int) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    half interval := make_interval(secs => p_seconds / 2.0);
    lease stream.lease;
    fresh int;
begin
    -- The usual case writes nothing: the lock is this session's (locking it again succeeds) and the lease is long
    -- enough. The second look is needed because the token may have changed hands between the first and the lock.
    select * into lease from stream.lease l where l.consumer = p_consumer;
    if found and pg_try_advisory_lock(18519, lease.token) then
        perform from stream.lease l
        where l.consumer = p_consumer and l.token = lease.token and l.held_until > clock_timestamp() + half;
        if found then
            return true;
        end if;
    end if;

    insert into stream.lease values (p_consumer, nextval('stream.lease_token'), '-infinity') on conflict do nothing;
    select * into lease from stream.lease l where l.consumer = p_consumer for update;
    if not pg_try_advisory_lock(18519, lease.token) then
        if lease.held_until > clock_timestamp() then
            return false;
        end if;
        -- The holder's session lives but has not claimed for a whole lease: a new token leaves it behind.
        fresh := nextval('stream.lease_token');
        perform pg_advisory_lock(18519, fresh);
        lease.token := fresh;
    end if;
    update stream.lease l
    set token = lease.token, held_until = clock_timestamp() + make_interval(secs => p_seconds)
    where l.consumer = p_consumer;
    return true;
end
$$;

-- Makes every delivery of the aggregate claimable again, in its old order. Returns how many were held.
create or replace function stream.release(
    p_consumer text, p_producer text, p_aggregate_type text, p_aggregate_id uuid, p_reset_attempts boolean
) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    released int;
begin
    update stream.delivery d
    set held = false,
        next_attempt_at = null,
        parked_at = null,
        attempts = case when p_reset_attempts then 0 else d.attempts end
    where d.consumer = p_consumer
      and d.producer = p_producer
      and d.aggregate_type = p_aggregate_type
      and d.aggregate_id = p_aggregate_id
      and d.held;
    get diagnostics released = row_count;
    return released;
end
$$;

-- The consumer's next deliveries in order, at most p_max_events. They stay claimed by this session until it says
-- done, fails them, claims again, ends, or lets the lease run out. Nothing is returned while another session holds
-- the lease. Never returned: an event whose aggregate has an earlier one that waits for a retry or is parked.
create or replace function stream.claim(p_consumer text, p_max_events int default 500, p_lease_seconds int default 60)
returns table (
    event_id uuid, source text, producer text, aggregate_type text, aggregate_id uuid, aggregate_version bigint,
    type text, schema_version int, payload jsonb, occurred_at timestamptz, causation_id uuid, correlation_id uuid,
    actor_id uuid, attempts int, traceparent text
)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- A queue's statistics are always stale, so the planner is left only the plans that read as much as they hand out:
-- without these settings a claim on 300,000 rows that were never analysed took 165 ms, with them 3 ms (Postgres 18).
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    due record;
    late int;
begin
    perform stream.require_consumer(p_consumer);
    if not stream.take_lease(p_consumer, p_lease_seconds) then
        return;
    end if;

    for due in
        select d.producer, d.aggregate_type, d.aggregate_id
        from stream.delivery d
        where d.consumer = p_consumer and d.next_attempt_at <= clock_timestamp()
    loop
        perform stream.release(p_consumer, due.producer, due.aggregate_type, due.aggregate_id, false);
    end loop;

    -- Deliveries that arrived after their aggregate was blocked are put behind the blocker the first time they are
    -- met, so that no later claim reads them again.
    loop
        -- An array, not a join: on a queue that was empty when its statistics were taken the planner drives the join
        -- from the table and reads the candidates again for each of its rows (3 s a claim on 20,000 rows).
        update stream.delivery d
        set held = true
        where d.consumer = p_consumer
          and not d.held
          and d.id = any(array(
              select c.id
              from (
                  select r.id, r.producer, r.aggregate_type, r.aggregate_id
                  from stream.delivery r
                  where r.consumer = p_consumer and not r.held
                  order by r.id
                  limit least(p_max_events, 500)
              ) as c
              where exists (
                  select
                  from stream.delivery b
                  where b.consumer = p_consumer
                    and b.aggregate_id = c.aggregate_id
                    and b.producer = c.producer
                    and b.aggregate_type = c.aggregate_type
                    and b.id < c.id
                    and (b.next_attempt_at is not null or b.parked_at is not null)
              )
          ));
        get diagnostics late = row_count;
        exit when late = 0;
    end loop;

    return query
    select d.event_id, d.source, d.producer, d.aggregate_type, d.aggregate_id, d.aggregate_version, d.type,
           d.schema_version, d.payload, d.occurred_at, d.causation_id, d.correlation_id, d.actor_id, d.attempts,
           d.traceparent
    from stream.delivery d
    where d.consumer = p_consumer and not d.held
    order by d.id
    limit least(p_max_events, 500);
end
$$;

-- The events stand in the consumer's inbox: their deliveries end. Returns how many ended. An event that was failed
-- meanwhile (by a session that took the lease over) is done all the same, and frees its aggregate.
create or replace function stream.done(p_consumer text, p_event_ids uuid[]) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    freed record;
    ended int := 0;
begin
    perform stream.require_consumer(p_consumer);
    for freed in
        select d.producer, d.aggregate_type, d.aggregate_id
        from stream.delivery d
        where d.consumer = p_consumer
          and d.event_id = any(p_event_ids)
          and d.held
          and (d.next_attempt_at is not null or d.parked_at is not null)
    loop
        perform stream.release(p_consumer, freed.producer, freed.aggregate_type, freed.aggregate_id, false);
    end loop;
    delete from stream.delivery d
    where d.consumer = p_consumer and d.event_id = any(p_event_ids);
    get diagnostics ended = row_count;
    return ended;
end
$$;

-- The event could not be applied: it waits p_base_seconds x 2^(attempts - 1), at most five minutes, and is parked at
-- the p_max_attempts-th failure. Its successors of the same aggregate wait behind it; other aggregates flow.
-- Returns 'retry', 'parked', or 'ignored' if the session does not hold the lease or the delivery has ended.
create or replace function stream.fail(
    p_consumer text, p_event_id uuid, p_error text, p_max_attempts int default 6, p_base_seconds float default 1
) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    failed stream.delivery;
begin
    perform stream.require_consumer(p_consumer);
    perform from stream.lease l where l.consumer = p_consumer and pg_try_advisory_xact_lock(18519, l.token);
    if not found then
        return 'ignored';
    end if;
    update stream.delivery d
    set held = true,
        attempts = d.attempts + 1,
        last_error = left(p_error, 4000),
        parked_at = case when d.attempts + 1 >= p_max_attempts then clock_timestamp() end,
        next_attempt_at = case
            when d.attempts + 1 < p_max_attempts
            then clock_timestamp() + make_interval(secs => least(p_base_seconds * power(2, least(d.attempts, 20)), 300))
        end
    where d.consumer = p_consumer and d.event_id = p_event_id
    returning * into failed;
    if not found then
        return 'ignored';
    end if;
    update stream.delivery d
    set held = true
    where d.consumer = p_consumer
      and d.aggregate_id = failed.aggregate_id
      and d.producer = failed.producer
      and d.aggregate_type = failed.aggregate_type
      and d.id > failed.id
      and not d.held;
    return case when failed.parked_at is null then 'retry' else 'parked' end;
end
$$;

-- Gives parked or waiting events another chance at once, with their successors: of one event's aggregate, of one
-- aggregate, or (both null) all of the consumer. Returns how many events became claimable.
create or replace function stream.replay(
    p_consumer text, p_event_id uuid default null, p_aggregate_id uuid default null
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    blocked record;
    released int := 0;
begin
    perform stream.require_consumer(p_consumer);
    for blocked in
        select b.producer, b.aggregate_type, b.aggregate_id
        from stream.delivery b
        where b.consumer = p_consumer
          and (b.next_attempt_at is not null or b.parked_at is not null)
          and (p_aggregate_id is null or b.aggregate_id = p_aggregate_id)
          and (
              p_event_id is null
              or exists (
                  select
                  from stream.delivery e
                  where e.consumer = p_consumer
                    and e.event_id = p_event_id
                    and (e.producer, e.aggregate_type, e.aggregate_id) = (b.producer, b.aggregate_type, b.aggregate_id)
              )
          )
    loop
        released := released
            + stream.release(p_consumer, blocked.producer, blocked.aggregate_type, blocked.aggregate_id, true);
    end loop;
    perform pg_notify('hw_delivery_' || p_consumer, '');
    return released;
end
$$;

-- Per consumer: what waits, what is parked (with the events behind it) and how old the oldest is.
create or replace view stream.status as
select
    c.consumer,
    count(d.event_id) as pending,
    count(d.parked_at) as parked,
    count(d.next_attempt_at) as retrying,
    count(*) filter (where d.held and d.parked_at is null and d.next_attempt_at is null) as behind,
    min(d.occurred_at) as oldest,
    coalesce(extract(epoch from clock_timestamp() - min(d.occurred_at) filter (where not d.held)), 0)::float
        as lag_seconds
from (select consumer from stream.subscription union select consumer from stream.delivery) as c
left join stream.delivery d using (consumer)
group by c.consumer;

-- Every parked event with what stands behind it, oldest first.
create or replace view stream.parked as
select
    p.consumer, p.event_id, p.type, p.producer, p.aggregate_type, p.aggregate_id, p.aggregate_version,
    p.attempts, p.last_error, p.parked_at,
    (
        select count(*)
        from stream.delivery b
        where b.consumer = p.consumer
          and b.aggregate_id = p.aggregate_id
          and b.producer = p.producer
          and b.aggregate_type = p.aggregate_type
          and b.id > p.id
    ) as behind
from stream.delivery p
where p.parked_at is not null
order by p.parked_at;
