"""Any table into any bulk command: a CSV or Parquet file and a mapping that says what its columns mean."""
