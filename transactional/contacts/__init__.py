"""The master of accounts and the people behind them: who they are, how they relate, whom they belong to."""
