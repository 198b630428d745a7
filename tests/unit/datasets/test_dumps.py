"""Files of candidates: every published form, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import DataError
from trimtab.datasets.dumps import Dump, read_dump
from trimtab.text.tolerance import Tolerance


def dump(path: Path, rows: list[dict[str, Any]]) -> Dump:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_dump(path)


def common(number: int, **changes: Any) -> dict[str, Any]:
    """Return a row in which the second of two solutions is right."""
    candidates = [
        {"text": f"Anna buys {number} pears. The answer is {number}", "answer": str(number),
         "correct": False, "score": 0.9},
        {"text": f"Anna buys {2 * number} pears: \\boxed{{{2 * number}}}",
         "answer": str(2 * number), "correct": True, "score": 0.1},
    ]  # fmt: skip
    question = f"Anna buys {number} pears twice. How many pears are these?"
    return {"question": question, "gold": str(2 * number), "candidates": candidates, **changes}


def test_all_forms_say_the_same(tmp_path: Path) -> None:
    rows = [common(i) for i in range(3)]
    lists = [
        {
            "question": row["question"],
            "ground_truth": row["gold"],
            "candidates": [c["text"] for c in row["candidates"]],
            "candidate_answers": [c["answer"] for c in row["candidates"]],
            "candidate_correct": [c["correct"] for c in row["candidates"]],
            "energies": [c["score"] for c in row["candidates"]],
        }
        for row in rows
    ]
    first, second = dump(tmp_path / "a.jsonl", rows), dump(tmp_path / "b.jsonl", lists)
    assert first.configurations == second.configurations
    assert (first.score_name, second.score_name) == ("energy", "energy") and second.labelled
    columns = [
        {
            "question": row["question"],
            "ground_truth": f"steps\nA: {row['gold']}",
            **{
                f"model {i}": {"solution": c["text"], "is_correct": c["correct"]}
                for i, c in enumerate(row["candidates"])
            },
        }
        for row in rows
    ]
    (made,) = dump(tmp_path / "c.jsonl", columns).configurations.values()
    assert [[c.correct for c in row.candidates] for row in made] == [[False, True]] * 3
    assert made[1].candidates[1].answer == "2" and made[1].gold == "2"


def test_labels_that_are_missing_come_from_the_extractor(tmp_path: Path) -> None:
    row = common(4)
    for candidate in row["candidates"]:
        del candidate["correct"], candidate["answer"], candidate["score"]
    found = dump(tmp_path / "a.jsonl", [row])
    assert not found.labelled and found.score_name is None
    (made,) = found.configurations.values()
    assert [(c.answer, c.correct) for c in made[0].candidates] == [("4", False), ("8", True)]


def test_rows_that_come_twice_are_left_out_and_told(tmp_path: Path) -> None:
    again = common(2)
    again["candidates"] = again["candidates"][::-1]
    rows = [common(1), common(2), common(1), again]
    found = dump(tmp_path / "a.jsonl", rows)
    (made,) = found.configurations.values()
    assert [row.line for row in made] == [1, 2]
    told = {finding.what: finding.detail for finding in found.findings}
    assert "lines 3;" in told["questions that come again with the same candidates"]
    assert "lines 4;" in told["questions that come again with other candidates"]


@pytest.mark.parametrize("text", ["", "Placeholder {}", "Some solution text {}.", "n/a"])
def test_placeholders_are_left_out_and_told(tmp_path: Path, text: str) -> None:
    fake = []
    for i in (500, 501):
        row = common(i)
        row["candidates"] = [{"text": text.format(i), "answer": "1", "correct": False}] * 2
        fake.append(row)
    found = dump(tmp_path / "a.jsonl", [*fake, *(common(i) for i in range(20))])
    (made,) = found.configurations.values()
    assert [row.line for row in made] == list(range(3, 23))
    assert any("lines 1, 2" in f.detail for f in found.findings if "placeholder" in f.what)


def test_a_file_of_bare_answers_is_no_file_of_placeholders(tmp_path: Path) -> None:
    rows = []
    for i in range(20):
        row = common(i)
        row["candidates"] = [{"text": f"It is {i}.", "correct": False}, {"text": f"{2 * i}"}]
        rows.append(row)
    (made,) = dump(tmp_path / "a.jsonl", rows).configurations.values()
    assert len(made) == 20


def test_configurations_are_kept_apart(tmp_path: Path) -> None:
    few = common(9)
    few["candidates"] = few["candidates"][:1]
    rows = [*(common(i, temperature=0.7) for i in range(3)), common(0, temperature=1.0), few]
    found = dump(tmp_path / "a.jsonl", rows)
    sizes = {label: len(some) for label, some in found.configurations.items()}
    assert sizes == {"temperature=0.7, N=2": 3, "N=1": 1, "temperature=1.0, N=2": 1}
    assert [f.what for f in found.findings] == ["several configurations"]


def test_a_change_of_style_within_a_file_is_told(tmp_path: Path) -> None:
    def plain(i: int) -> dict[str, Any]:
        row = common(i)
        row["candidates"][1]["text"] = f"Anna buys {2 * i} pears"
        return row

    mixed = [*(common(i) for i in range(60)), *(plain(i) for i in range(60, 120))]
    found = dump(tmp_path / "a.jsonl", mixed)
    assert [f.what for f in found.findings] == ["looks like two configurations"]
    assert "from line 61 on 0 %" in found.findings[0].detail
    turns = [common(i) if i % 2 else plain(i) for i in range(120)]
    assert dump(tmp_path / "b.jsonl", turns).findings == []


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a question and a gold answer are needed"):
        dump(tmp_path / "a.jsonl", [{"text": "hello"}])
    with pytest.raises(DataError, match="no candidates"):
        dump(tmp_path / "a.jsonl", [{"question": "q?", "gold": "1"}])
    uneven = {"question": "q?", "gold": "1", "candidates": ["a", "b"], "energies": [1.0]}
    with pytest.raises(DataError, match="as many entries"):
        dump(tmp_path / "a.jsonl", [uneven])
    broken = common(1)
    broken["candidates"][0]["score"] = float("nan")
    with pytest.raises(DataError, match="finite"):
        dump(tmp_path / "a.jsonl", [broken])


def test_the_published_dump_is_two_configurations(shared_data: Path) -> None:
    found = read_dump(shared_data / "gsm8k_solutions" / "bestof5_gemma_dev.jsonl")
    (made,) = found.configurations.values()
    assert len(made) == 300 and found.score_name == "energy"
    assert [f.what for f in found.findings] == ["looks like two configurations"]


@pytest.mark.parametrize(
    "text", ["", "n/a", "Placeholder {0}", "Candidate {0}", "Some solution text {0}.",
             "Sample number {0}: think step by step, then conclude that it is {0}."],
)  # fmt: skip
def test_a_file_of_placeholders_alone_is_refused(tmp_path: Path, text: str) -> None:
    rows = [common(i, candidates=[{"text": text.format(i)}] * 2) for i in range(30)]
    with pytest.raises(DataError, match="no usable problem: placeholders instead of samples"):
        dump(tmp_path / "a.jsonl", rows)


def test_a_file_of_bare_answers_is_told(tmp_path: Path) -> None:
    rows = [common(i, candidates=[{"text": f"The answer is {i}."}] * 2) for i in range(30)]
    found = dump(tmp_path / "a.jsonl", rows)
    assert [f.what for f in found.findings] == ["answers without a solution"]
    assert "30 of 30 rows" in found.findings[0].detail


def test_rounded_reference_answers_need_a_tolerance_where_labels_rest_on_them(
    tmp_path: Path,
) -> None:
    row = {"question": "How much?", "gold": 0.1 + 0.2, "candidates": ["pears: 0.3", "0.4"]}
    with pytest.raises(DataError, match="--tolerance"):
        dump(tmp_path / "a.jsonl", [row])
    found = read_dump(tmp_path / "a.jsonl", Tolerance(rule="relative", value=1e-9))
    (made,) = found.configurations.values()
    assert [c.correct for c in made[0].candidates] == [True, False]
    labelled = dump(tmp_path / "b.jsonl", [{**row, "candidate_correct": [True, False]}])
    assert [f.what for f in labelled.findings] == ["reference answers with more than two decimals"]
