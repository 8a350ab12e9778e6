"""What every write service shares: commands, outbox, inbox, idempotency, audit, lifecycles and the API made of them."""
