"""What may be done to a row: edits, gates, vectors made of a prompt, adapters."""
