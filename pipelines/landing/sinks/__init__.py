"""Where landing puts what it reads: one small port, and the warehouse behind it."""
