"""Moving an installation from one profile to the other while people write, resumed where it was interrupted."""
