"""Identity: users, groups, roles, teams, territories, and the tokens that every service checks by itself."""
