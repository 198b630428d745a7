"""Build what a model is trained on: facts of a person, and answers of another model."""
