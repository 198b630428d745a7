"""Best-of-N through the command line: a run, one that extends it, and candidates of others."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_process import Command, trimtab

from trimtab.compute.chaos.comparison import fitted, num_records, records

_NUM_KILLS = 10


@pytest.fixture(scope="module")
def best_of_n(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Return a best-of-N experiment on a tiny random model."""
    data = {
        "recipe": "gsm8k_best_of_n",
        "name": "tiny",
        "model": {"id": str(tiny_model), "device": "cpu"},
        "task": {"name": "arithmetic", "digits": 1, "steps": 1, "count": 40, "max_tokens": 10},
        "candidates": 2,
        "sampling": {"temperature": 1.0, "top_p": 1.0},
        "splits": ["select", "test"],
        "limits": {"select": 2, "test": 4},
    }
    path = tmp_path_factory.mktemp("best-of-n") / "best-of-n.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture(scope="module")
def small(best_of_n: Path) -> tuple[Path, str]:
    """Return the experiment's run and what was printed; made once, not to be changed."""
    run = best_of_n.parent / "small"
    done = trimtab(["run", str(best_of_n), "--out", str(run)], best_of_n.parent / "logs")
    assert done.code == 0, done.err
    return run, done.out


@pytest.fixture
def reranked(best_of_n: Path, tmp_path: Path) -> Path:
    """Return the experiment with rerankers; long answers hold enough digits to be right at times.

    What a random model writes can't be ranked: what is tested is that everything happens.
    """
    data = yaml.safe_load(best_of_n.read_text())
    training = {"steps": 6, "batch": 4, "evaluate_every": 2}
    data["task"] |= {
        "max_tokens": 40,
        "count": 80,
        "fractions": {"fit": 0.4, "select": 0.4, "test": 0.2},
    }
    data |= {
        "candidates": 8,
        "greedy": False,
        "splits": ["fit", "select", "test"],
        "limits": {"fit": 16, "select": 14, "test": 6},
        "judges": [
            "likelihood",
            {"name": "energy", "kind": "uncertainty"},
            {"name": "energy", "kind": "encoder", "training": training},
            {"name": "energy", "kind": "head", "layers": [1, 2], "training": training},
        ],
    }
    path = tmp_path / "reranked.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def completions(run: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    rows = [
        json.loads(x) for p in run.glob("completions/*/*.jsonl") for x in p.read_text().splitlines()
    ]
    assert len(rows) == len({(r["cell"], r["sample_id"], r["index"]) for r in rows})
    return {(r["cell"], r["sample_id"], r["index"]): r for r in rows}


def test_sixteen_extend_two_without_making_any_again(
    best_of_n: Path, small: tuple[Path, str], tmp_path: Path
) -> None:
    large, fresh, logs = (tmp_path / n for n in ("large", "fresh", "logs"))
    more = ["-o", "candidates=16"]
    argv = ["run", str(best_of_n), "--out", str(large), "--reuse", str(small[0]), *more]
    done = trimtab(argv, logs)
    assert done.code == 0, done.err
    done = trimtab(["run", str(best_of_n), "--out", str(fresh), *more], logs)
    assert done.code == 0, done.err

    first, extended, direct = completions(small[0]), completions(large), completions(fresh)
    assert len(first) == (2 + 4) * 2 + 4 and len(extended) == (2 + 4) * 16 + 4
    # taken over to the last byte, times of writing included
    assert {key: extended[key] for key in first} == first
    own = {p.name for p in large.glob("completions/*/*.jsonl")} - {"a0000-given.jsonl"}
    assert own
    assert extended.keys() == direct.keys()
    for key, row in direct.items():
        assert (row["text"], row["num_tokens"]) == (
            extended[key]["text"],
            extended[key]["num_tokens"],
        )
        assert row["logprob"] == pytest.approx(extended[key]["logprob"], abs=1e-4)
    assert len({row["text"] for row in direct.values()}) > 20


def test_the_report_holds_every_selector(small: tuple[Path, str]) -> None:
    run, said = small
    assert "Selectors: generation" in said and "oracle" in said
    summary = json.loads((run / "summary.json").read_text())
    made = next(m for m in summary["sections"]["selection"]["sets"] if m["split"] == "test")
    assert [row["selector"] for row in made["selectors"]] == [
        "random", "first", "greedy", "majority", "majority, ties to first",
        "highest mean_logprob", "vote by mean_logprob", "format filter", "shortest", "longest",
        "oracle",
    ]  # fmt: skip
    assert made["problems"] == 4 and made["incomplete"] == 0
    assert made["temperatures"]["mean_logprob"]["tuned_on"] == "select split"
    tables = {path.name for path in (run / "report" / "tables").glob("*.csv")}
    assert {f"generation_{n}.csv" for n in ("selectors", "rankings", "candidates")} <= tables
    figures = {path.stem for path in (run / "report" / "figures").glob("*.svg")}
    assert {"candidates", "energies", "length"} <= figures
    assert "reliability" not in figures  # a log-probability of the text is no logit
    protocols = {row["protocol"] for row in completions(run).values()}
    assert protocols == {"arithmetic/generation/chat"}


def test_candidates_of_others_are_reported_without_a_model(tmp_path: Path) -> None:
    file, run, logs = tmp_path / "theirs.jsonl", tmp_path / "run", tmp_path / "logs"
    rows = []
    for number in range(12):
        given = [
            {"text": f"Bo picks {n} apples. #### {n}", "answer": str(n), "correct": n == number,
             "score": float(n != number)}
            for n in (number, number + 1, number + 1)
        ]  # fmt: skip
        question = f"How many apples does Bo pick on day {number}?"
        rows.append({"question": question, "gold": str(number), "candidates": given})
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[3]]))
    done = trimtab(["data", "import-candidates", str(file), "--out", str(run)], logs)
    assert done.code == 0, done.err
    assert "questions that come again with the same candidates" in done.out
    done = trimtab(["report", str(run)], logs)
    assert done.code == 0, done.err
    made = json.loads((run / "summary.json").read_text())["sections"]["selection"]["sets"][0]
    right = {row["selector"]: row["right"] for row in made["selectors"]}
    assert made["problems"] == 12
    assert (right["lowest energy"], right["majority"], right["oracle"]) == (12, 0, 12)
    assert right["random"] == pytest.approx(4)
    done = trimtab(["score", str(run), "--judge", "text_health"], logs)
    assert done.code == 0, done.err
    done = trimtab(["data", "import-candidates", str(run), "--out", str(run)], logs)
    assert done.code == 2 and "Traceback" not in done.err


def test_rerankers_are_fitted_apart_from_test_and_reported_with_ablations(
    reranked: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    done = trimtab(["run", str(reranked), "--out", str(run)], logs)
    assert done.code == 0, done.err
    summary = json.loads((run / "summary.json").read_text())
    made = {m["split"]: m for m in summary["sections"]["selection"]["sets"]}
    names = ["mean_logprob", "uncertainty", "energy (encoder)", "energy (head)"]
    for split in ("select", "test"):
        assert [r["ranking"] for r in made[split]["rankings"]][:4] == names
    scored = [r["ranking"] for r in made["fit"]["rankings"] if r["scored"]]
    assert scored == [names[0], "length only (shorter)", "format only"]

    shown_less = made["test"]["ablations"]
    assert len(shown_less) == 3 * 2 + 2
    wholes = {row["ranking"]: row["whole"] for row in shown_less}
    assert wholes["energy_question_removed (head)"] == "energy (head)"
    assert wholes["energy_length_only"] is None
    chosen = [row["selector"] for row in made["test"]["selectors"]]
    assert "lowest energy (head)" in chosen and not any("removed" in name for name in chosen)
    for row in shown_less:
        assert row["unscored"] == 0 and row["vs_random"]["n"] == 6
        assert (row["vs_whole"] is None) == (row["whole"] is None)

    # ablations share the fit of what they ablate
    fits = {entry["ranking"]: entry for entry in summary["sections"]["rerankers"]["rerankers"]}
    assert set(fits) == {*names[2:], "energy_length_only", "energy_format_only"}
    head = fits["energy (head)"]
    assert head["layer"] in (1, 2) and len(head["history"]) == 1 + head["updates"] // 2
    assert head["fit"]["problems"] + head["fit"]["dropped_all_wrong"] == 16
    figures = {path.stem for path in (run / "report" / "figures").glob("*.svg")}
    assert "training" in figures
    page = (run / "report" / "report.md").read_text()
    assert "Ablations: generation" in page and "Rerankers" in page and "McNemar" in page


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_while_sampling_fitting_and_ranking_gives_the_undisturbed_result(
    reranked: Path, tmp_path: Path
) -> None:
    whole, run, logs = tmp_path / "whole", tmp_path / "killed", tmp_path / "logs"
    done = trimtab(["run", str(reranked), "--out", str(whole)], logs)
    assert done.code == 0, done.err
    total = num_records(whole)
    rng = random.Random(5)
    moments = sorted([0, *(rng.randint(1, total) for _ in range(_NUM_KILLS - 1))])
    kills = 0
    for moment in moments:
        made = (run / "plan" / "0000.json").is_file()
        argv = ["resume", str(run)] if made else ["run", str(reranked), "--out", str(run)]
        kills += Command(argv, logs).kill_when(lambda moment=moment: num_records(run) >= moment)
    assert kills >= _NUM_KILLS - 4, "too few kills hit a running process to show anything"
    done = trimtab(["resume", str(run)], logs)
    assert done.code == 0, done.err
    assert records(run) == records(whole)
    assert fitted(run) == fitted(whole)
    assert (run / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "overrides",
    [
        ("candidates=3", "limits={fit: 6, select: 4, test: 3}", "task.max_tokens=10"),
        pytest.param((), marks=pytest.mark.campaign),
    ],
    ids=["short", "whole"],
)
def test_the_smoke_preset_ends_well(repo: Path, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    run, logs = tmp_path / "smoke", tmp_path / "logs"
    preset = repo / "configs" / "gsm8k_best_of_n" / "smoke.yaml"
    argv = ["run", str(preset), "--out", str(run), *(x for o in overrides for x in ("-o", o))]
    done = trimtab(argv, logs)
    assert done.code == 0, done.err
    summary = json.loads((run / "summary.json").read_text())
    made = next(m for m in summary["sections"]["selection"]["sets"] if m["split"] == "test")
    assert made["incomplete"] == 0 and len(summary["sections"]["rerankers"]["rerankers"]) == 4
    assert all(row["unscored"] == 0 for row in [*made["rankings"], *made["ablations"]])
