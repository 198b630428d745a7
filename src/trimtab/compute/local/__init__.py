"""Workers of a run as processes of this machine: started, watched, and ended with their parent."""
