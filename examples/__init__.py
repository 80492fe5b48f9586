"""Programs that show tornado-unblock at work."""
