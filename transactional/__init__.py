"""The write side: what services share, the services, and the importers that feed them."""
