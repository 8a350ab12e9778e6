"""Change data capture: change events, the pgoutput decoder, positions and sources. Imports nothing of ours."""
