-- What is known of each published table of a source, as the source's catalogue described it last (cdc/sql/describe.sql):
-- what polling compares with where a source forbids event triggers, kept up in either mode.
create table log.source_table (
    source text not null,
    relid bigint not null,
    description jsonb not null,
    primary key (source, relid)
);

-- How a source's schema changes are found: by its event trigger, or by polling its catalogue, the weaker mode.
alter table log.source_state add column schema_changes text check (schema_changes in ('trigger', 'polling'));

-- A re-read whose stamp is no schema change's own position waits for those who were writing the table.
alter table log.snapshot add column after_writers boolean not null default false;
