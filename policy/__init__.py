"""Who may do and see what: tokens, roles and row scopes as data, compiled for Django, for SQL and for search."""
