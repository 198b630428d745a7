"""A whole report: the same bytes from the same records, also out of a real run directory."""

import subprocess
import sys

from trimtab.core.report import Check
from trimtab.reports.draw.format import DASH
from trimtab.reports.page.write import write_report
from trimtab.runs.store.run import Run

CHECKS = [Check("splits disjoint", "pass", "0 in both"), Check("finite", "warn", "2 with errors")]


def test_two_reports_are_equal_to_the_byte(build, tmp_path):
    first = write_report(build(), CHECKS, tmp_path / "a")
    second = write_report(build(reverse=True), CHECKS, tmp_path / "b")
    names = [str(path.relative_to(tmp_path / "a")) for path in first.files]
    assert {"summary.json", "report/index.html", "report/report.md"} <= set(names)
    assert {"report/tables/damage.csv", "report/figures/strength.svg"} <= set(names)
    for a, b in zip(first.files, second.files, strict=True):
        assert a.read_bytes() == b.read_bytes(), a


def test_a_run_directory_gives_what_its_records_give(build, summary, tmp_path):
    fake = build()
    keys = {cell.samples for cell in fake.plan.cells}
    samples = {key: list(fake.samples(key).values()) for key in keys}
    run = Run.create(tmp_path / "run", fake.config, fake.plan, {"samples": samples})
    for cell in fake.plan.cells:
        run.completion_writer(1, cell.key).append(list(fake.completions(cell.key).values()))
        for judge in fake.judges():
            rows = list(fake.scores(judge.key, cell.key).values())
            if rows:
                run.score_writer(1, judge.key, cell.key).append(rows)
    written = write_report(run, CHECKS, run.dir)
    assert written.html == run.dir / "report" / "index.html" and written.html.is_file()
    assert written.summary == summary


def test_a_run_without_any_record_still_has_a_report(build, tmp_path):
    conditions = {cell.condition for cell in build().plan.cells}
    run = build(no_completions=conditions)
    written = write_report(run, [], tmp_path)
    assert "No treatment has truth·info values" in written.html.read_text()
    assert not any(path.suffix == ".png" for path in written.files)
    assert all(DASH in row for row in written.headline[0].texts)


def test_the_markdown_report_holds_checks_tables_and_figures(build, tmp_path):
    write_report(build(), CHECKS, tmp_path)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "- **warn** finite: 2 with errors" in text
    assert "![strength](figures/strength.png)" in text and "### Damage" in text


def test_importing_reports_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, trimtab.reports.page.write; "
        "print([m for m in ('torch', 'transformers', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
