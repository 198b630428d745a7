"""Online REINFORCE of adapters: a model answers, grades its answer, and learns from a reward."""
