"""Faults of every kind, played on real runs of a small experiment; see ``bench/campaign.py``.

A module holds one kind: ``play`` plays one instance, drawn from a generator of its own.
"""

import sys
from pathlib import Path

# processes of the command line, and what two runs must agree on
sys.path.append(str(Path(__file__).parents[2] / "tests" / "helpers"))
