"""Sales orders and their lines, from draft to closed, with the replicas of accounts and products they rely on."""
