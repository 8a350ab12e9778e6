-- The traces of the writes in a batch (W3C trace context; at most 64), so that readers of batches can go on with them.
alter table log.batch add column traceparents text [];
