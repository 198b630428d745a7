"""What can be read off a text alone: overlap, verdicts of chat judges, signs of ill health."""
