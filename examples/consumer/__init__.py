"""The last of the accounts: answer at once, and let consumers do the work."""
