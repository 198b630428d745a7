"""What is read off a model: option scores, activations, gradients."""
