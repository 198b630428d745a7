"""Extractors against lm-eval's own pipeline, written down slowly, and on hand-made cases."""

import json
import re
from pathlib import Path

import pytest

from trimtab.text.answers import (
    EXTRACTORS,
    NOTHING,
    Extracted,
    canonical,
    chat,
    flexible,
    gold_number,
    is_correct,
    strict,
)

# lm_eval 0.4.13, tasks/gsm8k/gsm8k.yaml (version 3.0)
_PATTERNS = {
    "strict": (r"#### (\-?[0-9\.\,]+)", 0),
    "flexible": (r"(-?[$0-9.,]{2,})|(-?[0-9]+)", -1),
}
_TO_IGNORE = [",", "\\$", "(?s).*#### ", "\\.$"]
SOLUTION = "She sells 18 of them.\n#### 18"


def lm_eval(name: str, text: str, gold: str) -> tuple[str, bool]:
    """Return what lm-eval's filter ``name`` takes from ``text``, and its exact match."""
    pattern, group = _PATTERNS[name]
    found = re.compile(pattern).findall(text)
    if found:
        match = found[group]
        if isinstance(match, tuple):
            match = next((part for part in match if part), "[invalid]")
        match = match.strip()
    else:
        match = "[invalid]"
    prediction, reference = match, gold
    for ignored in _TO_IGNORE:
        prediction, reference = re.sub(ignored, "", prediction), re.sub(ignored, "", reference)
    return match, prediction.lower() == reference.lower()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("$18.00", (False, False, True)),
        ("18...", (False, False, True)),
        (r"\boxed{18}.", (False, True, True)),
        ("####18", (False, True, True)),
        ("#### 18 #### 20", (True, False, False)),
        ("The sum is 18. Let me verify: 18/2 = 9", (False, False, False)),
        ("18 dollars, i.e. 2 x 9", (False, False, False)),
    ],
)
def test_failure_cases_on_a_gold_of_18(text: str, right: tuple[bool, bool, bool]) -> None:
    found = tuple(is_correct(name, EXTRACTORS[name](text).answer, SOLUTION) for name in EXTRACTORS)
    assert found == right
    for name in ("strict", "flexible"):
        answer, correct = lm_eval(name, text, SOLUTION)
        assert (EXTRACTORS[name](text).answer or "[invalid]") == answer
        assert is_correct(name, EXTRACTORS[name](text).answer, SOLUTION) == correct


def test_strict_and_flexible_are_lm_evals_on_real_solutions(shared_data: Path) -> None:
    tests = (shared_data / "gsm8k" / "test.jsonl").read_text().splitlines()
    made = (shared_data / "gsm8k_solutions" / "example_model_solutions.jsonl").read_text()
    compared = 0
    agreed = 0
    for line, solved in zip(tests, made.splitlines(), strict=True):
        gold = json.loads(line)["answer"]
        for column in json.loads(solved).values():
            if not isinstance(column, dict):
                continue
            # as they are (they end in "A: N"), and in the form that strict looks for
            for text in (column["solution"], column["solution"].replace("\nA: ", "\n#### ")):
                for name in ("strict", "flexible"):
                    answer, correct = lm_eval(name, text, gold)
                    own = EXTRACTORS[name](text).answer
                    assert (own or "[invalid]", is_correct(name, own, gold)) == (answer, correct)
                    compared += 1
            agreed += (
                is_correct("chat", chat(column["solution"]).answer, gold) == (column["is_correct"])
            )
    assert compared == 1319 * 4 * 4 and agreed == 1319 * 4


@pytest.mark.parametrize(
    ("text", "rule", "answer"),
    [
        (r"so \boxed{\text{total: }1{,}234} and 7 more", "boxed", "1,234"),
        (r"\boxed{12}, no wait: \boxed{13}", "boxed", "13"),
        (r"\boxed{x}. The answer is 4", "stated", "4"),
        ("The final answer is: **$1,200.50**. Check: 3", "stated", "$1,200.50"),
        ("ANSWER: -7\n(8 people)", "answer", "-7"),
        ("#### \u22127", "hash", "\u22127"),
        ("Check our answer: 70 + 40 = 110", "last_number", "110"),
        ("It is .5 now", "last_number", ".5"),
        ("No idea.", "none", None),
        ("", "none", None),
    ],
)
def test_chat_takes_the_box_then_the_announced_then_the_last_number(
    text: str, rule: str, answer: str | None
) -> None:
    assert chat(text) == Extracted(rule, answer)


def test_answers_are_one_answer_by_their_value() -> None:
    same = ("1000", "1,000", "$1,000.00", "1000.", "+1000", "1000 ")
    assert {canonical(text) for text in same} == {"1000"}
    assert canonical("-0") == canonical("0") and canonical("0.50") == canonical(".5")
    assert canonical("\u22125%") == "-5"
    assert canonical("Paris  IS nice") == canonical("paris is nice")
    assert gold_number("Sum\n#### 1,234") == "1234" and gold_number("so\nA: 18") == "18"


def test_a_record_of_what_was_found_can_be_read_back() -> None:
    for found in (strict("#### 5"), flexible("6: 7"), chat(r"\boxed{8}"), NOTHING):
        assert Extracted.parse(str(found)) == found
    assert Extracted.parse(None) == NOTHING


def test_what_lm_eval_installed_here_says(shared_data: Path) -> None:
    filters = pytest.importorskip("lm_eval.filters.extraction", exc_type=ImportError)
    text = (shared_data / "gsm8k_solutions" / "example_model_solutions.jsonl").read_text()
    texts = [json.loads(line)["175b_finetuning"]["solution"] for line in text.splitlines()[:300]]
    for name, (pattern, group) in _PATTERNS.items():
        theirs = filters.RegexFilter(pattern, group_select=group)
        found = [row[0] for row in theirs.apply([[text] for text in texts], [{}] * len(texts))]
        assert found == [EXTRACTORS[name](text).answer or "[invalid]" for text in texts]
