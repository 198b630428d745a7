"""Honesty checks after each phase: in ``checks.json``, and at the top of the report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict

from pydantic import TypeAdapter

from trimtab.core.counted import counted
from trimtab.core.errors import CheckError
from trimtab.core.locks import locked
from trimtab.core.plan import JudgePlan
from trimtab.core.records import write_json
from trimtab.core.report import Check, Status
from trimtab.core.types import ContrastPair, Conversation, Sample
from trimtab.runs.store.formats import present
from trimtab.runs.store.reading import read_shaped
from trimtab.runs.store.run import Run
from trimtab.runs.work import openings
from trimtab.runs.work.finite import ROWS, artifacts_finite, rows_finite
from trimtab.runs.work.units import cells_of
from trimtab.runs.work.zero import comparisons
from trimtab.text.leaks import NGRAM_WORDS, HeldOut

_UNSCORED_WARN, _UNSCORED_FAIL = 0.02, 0.25


def read(run: Run) -> list[Check]:
    """Return all checks recorded so far, in the order of the phases."""
    phases = _recorded(run)
    return [check for phase in _PHASES for check in phases.get(phase, [])]


def phases_ended(run: Run) -> list[str]:
    """Return the phases that had ended when their checks were recorded."""
    return list(_recorded(run))


def at_hand(
    run: Run, rows_owed: bool | None = None, scores_owed: Collection[str] = ()
) -> list[Check]:
    """Return the recorded checks; those of artifacts, and of rows if any is owed, looked at again.

    What was there when a phase ended may be gone now. Rows that are there are not read, but those
    of scores, whose counts ``status`` needs in any case.

    Args:
        run: The run.
        rows_owed: Whether a completion is missing, of a run that is so large that it is known by
            counts alone; its rows and scores are not looked at in any case.
        scores_owed: Keys of the judges of such a run of which scores are missing.
    """
    phases = _recorded(run)
    again = ["fit"]
    if "generate" in phases and rows_owed:
        gone = Check(ROWS, "fail", "rows are missing now that were there when it was checked")
        phases["generate"] = [c for c in phases["generate"] if c.name != ROWS] + [gone]
    for name in [f"scored by {key}" for key in scores_owed]:
        gone = Check(name, "warn", "scores are missing now that were there when it was checked")
        checked = phases.get("score", [])
        phases["score"] = [gone if check.name == name else check for check in checked]
    if rows_owed is None:
        again += ["score"]
        again += ["generate"] * any(run.owed(cell) for cell in run.plan.cells)
    return _looked_at(run, phases, again)


def current(run: Run) -> list[Check]:
    """Return the recorded checks, what they say of data, artifacts and rows looked at again.

    The last check is of the records themselves, all of which are read.
    """
    phases = _recorded(run)
    return [*_looked_at(run, phases, list(phases)), _records_agree(run)]


def _looked_at(
    run: Run, phases: Mapping[str, Sequence[Check]], again: Sequence[str]
) -> list[Check]:
    opened = [check for check in phases.get("generate", ()) if check.name == openings.NAME]
    look: dict[str, Callable[[], list[Check]]] = {
        "plan": lambda: [_splits_disjoint(run)],
        "fit": lambda: artifacts_finite(run),
        "generate": lambda: [*_zero_equals_baseline(run), rows_finite(run), *opened],
        "score": lambda: [_unscored(run, judge) for judge in run.judges()],
    }
    return [
        check
        for phase in _PHASES
        if phase in phases
        for check in (look[phase]() if phase in again and phase in look else phases[phase])
    ]


def require(run: Run) -> None:
    """Raise CheckError if a check failed."""
    failed = [check for check in read(run) if check.status == "fail"]
    if failed:
        raise CheckError(
            "Honesty checks failed: " + "; ".join(f"{g.name}: {g.detail}" for g in failed) + ".",
            hint="The report shows them at its top; don't publish its numbers.",
        )


def after_import(run: Run, findings: Sequence[tuple[str, str]]) -> None:
    """Note what was wrong with a file that the run was made from: (what, the figures)."""
    checks = [Check(what, "warn", detail) for what, detail in findings]
    _record(run, "import", checks or [Check("imported file", "pass", "nothing left out")])


def after_plan(run: Run, notes: Sequence[str] = ()) -> None:
    """Check that nothing a cell is tested on was used to fit; note what was left out of data."""
    left_out = [Check("data left out", "warn", note) for note in notes]
    _record(run, "plan", [_splits_disjoint(run), *left_out])


def after_fit(run: Run) -> None:
    """Check that every artifact of data is there, unchanged and finite."""
    _record(run, "fit", artifacts_finite(run))


def after_generate(run: Run) -> None:
    """Check strength 0, finite numbers and errors, and note the opening of the test split."""
    opened = openings.test_opened(run)
    _record(run, "generate", [*_zero_equals_baseline(run), rows_finite(run), opened])


def after_score(run: Run) -> None:
    """Check how much each judge could score."""
    _record(run, "score", [_unscored(run, judge) for judge in run.judges()])


_SHAPE = TypeAdapter(dict[str, list[Check]])
_PHASES = ("import", "plan", "fit", "generate", "score")


def _record(run: Run, phase: str, checks: Sequence[Check]) -> None:
    with locked(run.dir / ".checks.lock"):  # several workers may end phases at once
        phases = {**_recorded(run), phase: list(checks)}
        value = {name: [asdict(check) for check in some] for name, some in phases.items()}
        write_json(run.dir / "checks.json", value, sealed=True)


def _recorded(run: Run) -> dict[str, list[Check]]:
    path = present(run.dir, "checks.json")
    return read_shaped(_SHAPE, path) if path.is_file() else {}


def _records_agree(run: Run) -> Check:
    """Tell lines that can't be read, and rows that contradict others of the same key."""
    for cell in run.plan.cells:
        run.tally_completions(cell.key)
    for judge in run.judges():
        for cell in cells_of(run, judge):
            run.tally_scores(judge.key, cell.key)
    found = run.faults()
    # unfinished and repeated lines are what a kill leaves, and change nothing
    counts = {"contradicting": len(found.conflicts), "damaged": len(found.invalid)}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    bad = found.conflicts or found.invalid
    detail = f"{counted(found.rows, 'row')} read; {said or 'none damaged or contradicting'}"
    if found.conflicts:
        detail += f"; of contradicting rows the first counts, e.g. {found.conflicts[0]}"
    elif found.invalid:
        detail += f"; what is damaged counts as missing, e.g. {found.invalid[0]}"
    return Check("records agree", "warn" if bad else "pass", detail)


def _splits_disjoint(run: Run) -> Check:
    """Compare what is fitted on with what chooses and is evaluated on, and what chooses with test.

    The same question in both is a failure; 13 words in a row in common are a warning.
    """
    cells: dict[str, set[str]] = {"fit": set(), "select": set(), "test": set()}
    for cell in run.plan.cells:
        cells[cell.split].add(cell.samples)
    read = {name: _questions(run, keys) for name, keys in cells.items()}
    fitted, chosen = (read[name] | _questions_of_fits(run, name) for name in ("fit", "select"))
    tested, evaluated = read["test"], read["test"] | read["select"]
    shared = [*_shared(fitted, evaluated | chosen), *_shared(chosen, tested)]
    same = sum(shared)
    status: Status = "fail" if same else "warn" if shared else "pass"
    detail = (
        f"{counted(len(fitted), 'question')} fitted on, {len(evaluated)} evaluated on, "
        f"{same} in both, {len(shared) - same} with {NGRAM_WORDS} words in common"
    )
    return Check("splits disjoint", status, detail)


def _questions_of_fits(run: Run, split: str) -> set[str]:
    """Return what the fits of a run read of a split."""
    refs = {ref for fit in run.plan.fits for ref in fit.data.values() if ref.split == split}
    return {
        _question(row) if isinstance(row, Sample) else _question_of(row)
        for ref in refs
        for row in run.data(ref)
    }


def _question_of(row: ContrastPair | Conversation) -> str:
    """Return the question that a pair names, else the last user turn: an answer is no question."""
    if isinstance(row, ContrastPair) and row.question:
        return row.question
    return next((m.content for m in reversed(row.messages) if m.role == "user"), "")


def _questions(run: Run, sets: set[str]) -> set[str]:
    return {_question(sample) for key in sets for sample in run.samples(key).values()}


def _shared(texts: set[str], others: set[str]) -> list[bool]:
    """Return, for each text that overlaps with ``others``, whether it is one of them."""
    if not texts:
        return []
    held_out = HeldOut(others)
    return [held_out.holds(text) for text in texts if held_out.overlaps(text)]


def _question(sample: Sample) -> str:
    question = sample.metadata.get("question")
    return question if isinstance(question, str) else sample.messages[-1].content


def _zero_equals_baseline(run: Run) -> list[Check]:
    return [comparison.check for comparison in comparisons(run)]


def _unscored(run: Run, judge: JudgePlan) -> Check:
    cells = cells_of(run, judge)
    total = sum(run.tally_completions(cell.key).rows for cell in cells)
    tallies = [run.tally_scores(judge.key, cell.key) for cell in cells]
    scored = sum(tally.scored for tally in tallies)
    abstained = sum(tally.abstained for tally in tallies)
    asked = total - abstained
    rate = 1 - scored / asked if asked else 1.0 - bool(abstained)
    if scored + abstained > total:
        said = f"{scored + abstained} scores of {total} completions: answers are gone"
        return Check(f"scored by {judge.key}", "fail", said)
    many = abstained > _UNSCORED_FAIL * total
    status: Status = (
        "fail" if rate > _UNSCORED_FAIL else "warn" if many or rate > _UNSCORED_WARN else "pass"
    )
    rest = f"; {abstained} have nothing to score, as the judge says" if abstained else ""
    return Check(f"scored by {judge.key}", status, f"{scored} of {total} completions scored{rest}")
