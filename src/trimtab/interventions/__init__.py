"""What is done to the model: one file per intervention; a folder registry."""
