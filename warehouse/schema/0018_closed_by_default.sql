-- The read API's role may select from every table of the warehouse's owner, so a table without row security shows it
-- everything. Mirrors, the change log's partitions and what the mirror refused have row security from the start; where
-- nobody has said who may read (ops.secure), nobody but the owner may.
do $close$
declare
    open_table regclass;
begin
    for open_table in
        select class.oid
        from pg_class as class
        inner join pg_namespace as namespace on class.relnamespace = namespace.oid
        where
            class.relkind in ('r', 'p')
            and not class.relrowsecurity
            and (
                starts_with(namespace.nspname, 'raw_')
                or (
                    namespace.nspname = 'log'
                    and (class.relname in ('change_log', 'parked', 'source_table') or starts_with(class.relname, 'change_log_'))
                )
            )
    loop
        execute format('alter table %s enable row level security', open_table);
    end loop;
end
$close$;

-- Functions of the owner that tell of anybody are the read API's alone: an analyst could ask them for somebody else.
revoke execute on function ops.rights_of(uuid), ops.tokens_valid_from(uuid) from public;
grant execute on function ops.tokens_valid_from(uuid) to wh_api;
