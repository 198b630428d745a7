"""Find, load, recognise and render models."""
