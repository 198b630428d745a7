"""Supervised fine-tuning of adapters: conversations in, factors after some of the updates out."""
