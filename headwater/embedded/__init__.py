"""The embedded runtime: PostgreSQL clusters from a wheel, without root, Docker or system packages."""
