-- A change belongs to the latest message before it in its transaction, and the source's log says which that is: a
-- message's LSN is at most that of the change that follows it. Numbers within a transaction may be given anew, where
-- Debezium begins again within one (docs/decisions/0061).
alter table log.transactions drop constraint transactions_pkey;

alter table log.transactions add primary key (source, epoch, xid, lsn, seq);

drop function ops.said(text, int, bigint, int);

-- No row: unattributed. Inlined where it is called laterally, so that the primary key of log.transactions answers it.
create function ops.said(of_source text, of_epoch int, of_xid bigint, of_lsn pg_lsn) returns setof log.transactions
language sql
stable
as $$
    select message.*
    from log.transactions as message
    where
        message.source = of_source
        and message.epoch = of_epoch
        and message.xid = of_xid
        and message.lsn <= of_lsn
    order by message.lsn desc, message.seq desc
    limit 1
$$;
