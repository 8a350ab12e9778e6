"""The lake: every change for ever, as Parquet files under a DuckLake catalogue that stands in the warehouse cluster."""
