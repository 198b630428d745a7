"""Where workers are started that faults hit, a file each."""
