"""Django's PostgreSQL backend, but for where it connects: a service's database may move while processes run."""
