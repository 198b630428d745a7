"""What a run's records say: rows, estimates and comparisons, before any section reads them."""
