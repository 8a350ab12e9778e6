-- Days of the change log that stand in the lake alone, and the latest commit among the changes of each: timelines ask the
-- lake from there on.
create table log.dropped_day (
    landed_on date primary key,
    last_committed_at timestamptz,
    dropped_at timestamptz not null default clock_timestamp()
);
