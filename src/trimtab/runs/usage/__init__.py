"""What a run cost, on which machine, under which code."""
