"""The warehouse: mirror of every source table, change log and queues, dbt models on top of them."""
