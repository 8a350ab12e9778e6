"""Search: documents built by SQL on the mirror, one port, two engines, the sync that keeps them, the read API."""
