"""The Stream page: what passes from the services to the warehouse now, what waits, and what needs somebody."""
