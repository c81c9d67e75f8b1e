"""What budgets cost, and whether they hold: see `python -m integration.measure --help`."""
