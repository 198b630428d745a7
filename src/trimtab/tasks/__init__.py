"""What is asked: one file per task; a folder registry."""
