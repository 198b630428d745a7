"""How texts are read moves with the versions that keys hold, and never without them.

A pattern that reads another number, label or verdict changes what is kept under a key. Whoever
changes one raises the versions beside it, and records both anew here.
"""

import importlib
import re

import pytest

from trimtab.core.keys import content_key
from trimtab.judges.label import Label
from trimtab.judges.number import Number
from trimtab.text import grades, verdicts

NUMBER, LABEL = Number.VERSION, Label.VERSION
VERDICTS, GRADES = verdicts.GRAMMAR, grades.GRAMMAR

READINGS = {
    "denials": ("29e975f35f0f1da4", (NUMBER, LABEL, VERDICTS), (5, 3, 4)),
    "announced": ("631c1bce5fa7e13f", (NUMBER,), (5,)),
    "answers": ("3e366e37618ca3bd", (NUMBER,), (5,)),
    "labels": ("2fb05da86947028f", (LABEL,), (3,)),
    "verdicts": ("3a3acbc6c3e88465", (VERDICTS,), (4,)),
    "grades": ("04f17993243887dd", (GRADES,), (1,)),
}


@pytest.mark.parametrize("name", READINGS)
def test_patterns_move_with_versions(name: str) -> None:
    found = vars(importlib.import_module(f"trimtab.text.{name}"))
    patterns = {k: [v.pattern, v.flags] for k, v in found.items() if isinstance(v, re.Pattern)}
    recorded, versions, those = READINGS[name]
    assert (content_key(patterns), versions) == (recorded, those)
