"""Lists of records: declared columns and filters, read by keyset within what the reader may see."""
