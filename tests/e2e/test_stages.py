"""Each phase as a job of its own, killed, repeated and out of order: the result of one go."""

import json
from pathlib import Path

import pytest
from cli_process import Command, Finished, trimtab

from trimtab.compute.chaos.comparison import fitted, num_records, records


@pytest.fixture
def bank(config: Path) -> Path:
    """Return the experiment with a bank of vectors, so that there are two artifacts to fit."""
    text = config.read_text().replace("limit: 6", "limit: 5")
    config.write_text(text + "bank: {vectors: 2, sizes: [3], strengths: [0.5]}\n")
    return config


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_jobs_in_any_order_of_interruption_give_what_one_go_gives(
    bank: Path, tmp_path: Path
) -> None:
    whole, run, logs = tmp_path / "whole", tmp_path / "run", tmp_path / "logs"
    done = trimtab(["run", str(bank), "--out", str(whole)], logs)
    assert done.code == 0, done.err
    total = num_records(whole)

    def phase(name: str) -> Finished:
        return trimtab([name, str(run)], logs)

    def kill(name: str, after: int) -> bool:
        return Command([name, str(run)], logs).kill_when(lambda: num_records(run) >= after)

    assert trimtab(["plan", str(bank), "--out", str(run)], logs).code == 0
    early = phase("generate")
    assert early.code == 6 and "2 of 2 artifacts" in early.err and "trimtab fit" in early.err
    assert "Traceback" not in early.err and not list(run.glob("completions/*/*"))
    nothing = phase("score")
    assert nothing.code == 0 and "completions are not there yet" in nothing.out + nothing.err
    assert phase("report").code == 0, "a report of nothing says so and is written"
    assert json.loads((run / "summary.json").read_text())["measures"]

    kills = [kill("fit", 3)]
    done = phase("fit")
    assert done.code == 0, done.err
    for words in ("Vector bank", "for 0.9", "anti-st", "Reliability of the bank"):
        assert words in done.out, "what a bank is worth is printed as soon as it is fitted"
    again = phase("fit")
    assert again.code == 0 and "Vector bank" in again.out

    rows = num_records(run)
    kills += [kill("generate", rows + 40)]
    assert phase("score").code == 0  # what is there
    kills += [kill("generate", num_records(run) + 30)]
    assert phase("report").code == 0
    assert phase("generate").code == 0
    kills += [kill("score", num_records(run) + 10)]
    done = phase("score")
    assert done.code == 0 and "not there yet" not in done.out + done.err
    assert sum(kills) >= 3, "too few kills hit a running process to show anything"
    assert num_records(run) >= total
    done = phase("report")
    assert done.code == 0 and "Vector bank" in done.out

    assert records(run) == records(whole)
    assert fitted(run) == fitted(whole)
    assert (run / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()
    check_that_other_libraries_are_told(run, logs)


def check_that_other_libraries_are_told(run: Path, logs: Path) -> None:
    manifests = {p: json.loads(p.read_text()) for p in run.glob("attempts/*/manifest.json")}
    phases = [state.get("phases", []) for _, state in sorted(manifests.items())]
    assert [name for names in phases for name in names] == [
        "fit", "fit", "generate", "score", "generate", "generate", "score", "score"
    ]  # fmt: skip
    page = run / "report" / "report.md"
    assert "## Notes" not in page.read_text(), "all had one code and one environment"
    assert "Code and environment" in page.read_text()
    summary = (run / "summary.json").read_bytes()
    path = max(path for path, state in manifests.items() if state.get("phases") == ["generate"])
    state = manifests[path]
    path.write_text(json.dumps({**state, "packages": {**state["packages"], "torch": "1.0"}}))
    done = trimtab(["report", str(run)], logs)
    assert done.code == 0 and "-> 1.0" in done.out
    notes = page.read_text().partition("## Notes")[2].partition("## Results")[0]
    assert "generate (attempt" in notes and "-> 1.0" in notes
    assert (run / "summary.json").read_bytes() == summary
