"""The parts of a report, one member each; a member is a file or a package."""
