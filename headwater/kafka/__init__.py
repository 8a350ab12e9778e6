"""The Kafka profile's Java programs: where their jars come from, and how broker, Connect workers and registry run.

Imports the standard library and the supervisor's small modules alone, for the supervisor keeps these processes.
"""
