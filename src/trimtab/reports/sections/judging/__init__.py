"""What the judges are worth."""
