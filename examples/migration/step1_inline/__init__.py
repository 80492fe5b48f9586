"""The ticket desk, one step of it: see `examples.migration`."""
