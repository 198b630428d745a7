"""From a recipe's choices to a plan with keys."""
