"""The variants. Each offers `ROUTES`, and in `PROCESSES` how many serve them."""
