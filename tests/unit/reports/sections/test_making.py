"""The tables of how the records were made, and the lines that warn of it."""

from trimtab.core.report import Spend, Stage, Usage
from trimtab.reports.data.source import Making
from trimtab.reports.draw.format import DASH
from trimtab.reports.page.write import write_report
from trimtab.reports.sections.making import spending_table, stage_table, usage_table
from trimtab.text.escapes import markdown as escaped

QUIET = Usage(
    attempt=1,
    phase="generate",
    finished=True,
    seconds=100.0,
    rows=2048,
    tokens=51200,
    threads=2,
    other_load=0.04,
    peak_memory_mib=1234.4,
    device="cpu",
    dtype="float32",
)
BUSY = QUIET.model_copy(update={"attempt": 2, "other_load": 1.5, "finished": False})
BARE = QUIET.model_copy(
    update={
        "phase": "score exact",
        "tokens": 0,
        "threads": None,
        "other_load": None,
        "peak_memory_mib": None,
        "device": None,
        "dtype": None,
    }
)
NOTICE = "bfloat16 on a CPU: <b>tokens</b> depend"


def test_unknown_is_a_dash_and_busy_phases_are_named():
    table = usage_table([QUIET, BUSY, BARE])
    assert table.texts[0] == (
        "generate, attempt 1", "2,048", "100.0", "512", "cpu, float32", "2", "0.04", "1,234"
    )  # fmt: skip
    assert table.texts[1][0] == "generate, attempt 2, stopped"
    assert table.texts[2] == ("score exact, attempt 1", "2,048", "100.0", *[DASH] * 5)
    assert "Not to be quoted: the times of generate (attempt 2)." in table.note
    assert "Not to be quoted" not in usage_table([QUIET, BARE]).note


def test_the_report_ends_with_it_and_the_summary_does_not_know_of_it(build, tmp_path):
    plain = write_report(build(), [], tmp_path / "plain")
    full = write_report(
        build(), [], tmp_path / "full", making=Making(usage=[BUSY]), notices=[NOTICE]
    )
    assert full.summary == plain.summary
    markdown = (tmp_path / "full" / "report" / "report.md").read_text()
    assert f"- {escaped(NOTICE)}" in markdown.partition("## Results")[0]
    assert markdown.rindex("### Speed and load") > markdown.rindex("## Methods")
    page = full.html.read_text()
    assert "Note: bfloat16 on a CPU: &lt;b&gt;tokens" in page
    assert page.index("<h2>Speed and load") > page.index("<h2>Methods")
    assert (tmp_path / "full" / "report" / "tables" / "speed.csv").is_file()
    assert "Speed and load" not in plain.html.read_text()


def test_what_was_spent_is_told_per_judge_and_in_all():
    judges = [Spend("rubric-1", 10, 8, 0.25, 0.05, 1.0), Spend("rubric-2", 2, 2, 0.5, 0, None)]
    table = spending_table(judges)
    assert table.texts == [
        ("rubric-1", "10", "8", "0.2500", "0.0500", "1.00"),
        ("rubric-2", "2", "2", "0.5000", "0.0000", DASH),
        ("all", "12", "10", "0.7500", "0.0500", DASH),
    ]
    assert len(spending_table(judges[:1]).texts) == 1


def test_each_phase_stands_with_its_code_and_machine(build, tmp_path):
    state = {
        "code": {"version": "1.2", "source": "abc", "commit": "0123456789abcdef", "dirty": True},
        "packages": {"python": "3.11", "torch": "2.13", "transformers": None},
        "machine": {"cpu": "<i>Z80</i>", "gpus": ["H200", "H200"], "threads": 2},
    }
    bare = {"code": {"version": "1.3", "source": "def", "commit": None, "dirty": None}}
    done = [Stage("generate", (1, 3), state), Stage("report", (), bare)]
    assert stage_table(done).texts == [
        ("generate", "1, 3", "1.2, source abc", "0123456789ab + changes", "3.11", "2.13", DASH,
         "H200, H200, <i>Z80</i>", "2"),
        ("report", "this one", "1.3, source def", *[DASH] * 6),
    ]  # fmt: skip
    spent = [Spend("rubric-1", 10, 8, 0.25, 0.05, 1.0)]
    written = write_report(
        build(), [], tmp_path, making=Making(usage=[BUSY], stages=done, spending=spent)
    )
    text = (tmp_path / "report" / "report.md").read_text()
    order = [text.index(f"### {t}") for t in ("Spent on", "Code and environment", "Speed and load")]
    assert order == sorted(order) and order[0] > text.index("## Methods")
    assert "&lt;i&gt;Z80" in written.html.read_text()
    names = {path.stem for path in (tmp_path / "report" / "tables").glob("*.csv")}
    assert {"spending", "stages", "speed"} <= names
