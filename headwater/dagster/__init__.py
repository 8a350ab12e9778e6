"""Runs Dagster as one supervised process: webserver, daemon and code server, forked from one parent.

``python -m headwater.dagster`` is that process. What Dagster shows and runs is defined in ``pipelines.defs``.
"""
