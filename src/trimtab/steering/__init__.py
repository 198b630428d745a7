"""What interventions on activations are made of: pairs, directions, gates, layers."""
