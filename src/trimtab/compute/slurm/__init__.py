"""SLURM: job scripts of a run, what becomes of them, and what is asked of the scheduler."""
