-- The trace of the write that an event tells of (W3C trace context), for those who follow it from click to replica.
alter table stream.delivery add column traceparent text;

-- Its result has a column more now, which "create or replace" refuses.
drop function if exists stream.claim(text, int, int);
