"""Training: one loop with exact resume, and what it trains."""
