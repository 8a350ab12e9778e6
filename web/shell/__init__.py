"""The frame around every page: rail, top bar, palette, help."""
