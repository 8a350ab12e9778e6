"""What an account means to the ledger: credit, terms, tax, and whether it may be served at all."""
