"""What scores: one file per judge; a folder registry."""
