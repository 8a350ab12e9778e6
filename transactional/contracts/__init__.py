"""What write services agree on: bases of commands and events, field types, and the schemas they exchange."""
