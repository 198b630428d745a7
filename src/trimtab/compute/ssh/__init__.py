"""Workers on hosts that ssh reaches, each with a copy of the run that is fetched and merged."""
