"""A panel's majority, its ties and its absent members."""

from dataclasses import replace

import pytest

from trimtab.core.errors import ConfigError
from trimtab.judges.base import JUDGES

MEMBERS = [{"name": "rubric", "rubric": "truth", "threshold": t} for t in (0.3, 0.5, 0.7)]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((1, 1, 0), (1.0, 2 / 3)),
        ((0, 0, 1), (0.0, 1 / 3)),
        ((1, None, 1), (1.0, 1.0)),
        ((1, None, 0), "tie"),
        ((None, None, 1), "quorum"),
        ((None, None, None), "quorum"),
    ],
)
def test_the_majority_of_those_who_voted(votes, expected, text_item) -> None:
    panel = JUDGES.build("panel", {"judges": MEMBERS})
    item = replace(text_item("x"), votes=tuple({"truth": v, "truth_p": 0.1} for v in votes))
    (verdict,) = panel.verdicts([item], None)
    if isinstance(expected, str):
        assert expected in verdict.error and set(verdict.values.values()) == {None}
    else:
        assert tuple(verdict.values.values()) == pytest.approx(expected)


def test_members_must_answer_the_same_question() -> None:
    with pytest.raises(ConfigError, match="gives no verdict 'truth'"):
        JUDGES.build("panel", {"judges": [MEMBERS[0], {"name": "rubric", "rubric": "info"}]})
    with pytest.raises(ConfigError, match="one vote"):
        JUDGES.build("panel", {"judges": [MEMBERS[0], MEMBERS[0]]})
