"""What each condition changed, and what of it is established."""
