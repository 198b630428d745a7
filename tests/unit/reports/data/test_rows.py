"""Every cell is read once, and answers that a page can't show are let go."""

from collections import Counter

from reported_run import build_run

from trimtab.reports.data.answers import Answers
from trimtab.reports.data.run import RunData
from trimtab.reports.page.browser import browser_data, to_script
from trimtab.reports.page.report import summarise


def test_a_report_reads_every_cell_once() -> None:
    run, asked = build_run(num=8), Counter()
    completions, scores = run.completions, run.scores
    run.completions = lambda cell: asked.update([cell]) or completions(cell)
    run.scores = lambda judge, cell: asked.update([(judge, cell)]) or scores(judge, cell)
    summarise(run)
    assert set(asked.values()) == {1}
    assert {cell.key for cell in run.plan.cells} <= asked.keys()


def test_what_is_kept_of_answers_fills_a_page_as_all_of_them_do() -> None:
    source = build_run(num=60)
    run = RunData(source)
    block = next(block for block in run.blocks if block.answers is not None)
    (whole,) = browser_data([block], "baseline", [])
    limit = len(to_script(whole["questions"])) // 5
    (expected,) = browser_data([block], "baseline", [], limit)
    few = Answers(limit)
    for rows in block.conditions.values():
        for cell in rows.cells:
            few.add(cell.key, source.completions(cell.key).values())
    block.answers = few
    (found,) = browser_data([block], "baseline", [], limit)
    assert found == expected and len(found["questions"]) > 3
    texts = [few.get(block.conditions["baseline"].cells[0].key, id, 0) for id in block.samples]
    assert None in texts, "the others were let go"


def test_rows_that_are_let_go_can_be_read_again() -> None:
    source = build_run(num=5)
    block = RunData(source).blocks[0]
    for rows in block.conditions.values():
        (cell,) = rows.cells
        assert rows.completions == source.completions(cell.key)
        assert rows.num_rows == len(rows.completions)
