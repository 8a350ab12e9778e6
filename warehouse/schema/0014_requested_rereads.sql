-- A re-read that a person asked for: when it ends, rows that the source no longer has are flagged in the mirror.
alter table log.snapshot add column sweeps boolean not null default false;
