"""The application people use: pages, fragments and static files over commands and read APIs."""
