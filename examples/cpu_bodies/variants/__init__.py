"""The variants. Each offers `ROUTES`, and sets up the process it is imported in."""
