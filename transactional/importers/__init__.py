"""Companies that come from elsewhere: read, mapped and written through bulk commands, and through nothing else."""
