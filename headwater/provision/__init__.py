"""Makes databases, roles and schemas exist; every function here may run again at any time."""
