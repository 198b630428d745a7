"""The table of what the run cost, and the lines that warn of it."""

from trimtab.reports._format import DASH
from trimtab.reports._speed import speed_table
from trimtab.reports.write import write_report
from trimtab.runs.load import PhaseLoad

QUIET = PhaseLoad(
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
    table = speed_table([QUIET, BUSY, BARE])
    assert table.rows[0] == (
        "generate, attempt 1", "2,048", "100.0", "512", "cpu, float32", "2", "0.04", "1,234"
    )  # fmt: skip
    assert table.rows[1][0] == "generate, attempt 2, stopped"
    assert table.rows[2] == ("score exact, attempt 1", "2,048", "100.0", *[DASH] * 5)
    assert "Not to be quoted: the times of generate (attempt 2)." in table.note
    assert "Not to be quoted" not in speed_table([QUIET, BARE]).note


def test_the_report_ends_with_it_and_the_summary_does_not_know_of_it(build, tmp_path):
    plain = write_report(build(), [], tmp_path / "plain")
    full = write_report(build(), [], tmp_path / "full", loads=[BUSY], notices=[NOTICE])
    assert full.summary == plain.summary
    markdown = (tmp_path / "full" / "report" / "report.md").read_text()
    assert f"- {NOTICE}" in markdown.partition("## Results")[0]
    assert markdown.rindex("### Speed and load") > markdown.rindex("## Methods")
    page = full.html.read_text()
    assert "Note: bfloat16 on a CPU: &lt;b&gt;tokens" in page
    assert page.index("<h2>Speed and load") > page.index("<h2>Methods")
    assert (tmp_path / "full" / "report" / "tables" / "speed.csv").is_file()
    assert "Speed and load" not in plain.html.read_text()
