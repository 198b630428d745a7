"""The one door to a model: texts, option log-probabilities and activations under per-row edits."""
