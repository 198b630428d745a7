"""Which rows and tokens fit together, and into memory, before anything is computed."""
