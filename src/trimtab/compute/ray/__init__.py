"""Ray: actors that hold a model do units that are chosen here; what is done stands on the disk."""
