"""Read APIs over the warehouse: whoever asks is stated to the database, whose row security decides what they see."""
