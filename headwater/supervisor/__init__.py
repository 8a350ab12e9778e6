"""Keeps the processes of one installation running: order of start and stop, restarts with back-off, logs.

Imports the standard library and the small modules of this room alone, so that it takes little memory for ever.
"""
