"""List pages: views as tabs, filters that read as sentences, keyset pages, bulk commands, export."""
