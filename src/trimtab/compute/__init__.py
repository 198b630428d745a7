"""Ways to start workers of a run on other machines; what is owed and done stands in the run."""
