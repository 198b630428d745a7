"""Tables of a search: what was confirmed, and every trial."""

from __future__ import annotations

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import Comparison, Estimate
from trimtab.reports.draw.format import MINUS, Form, scale
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, measured, write_cell
from trimtab.reports.sections.search.content import SearchContent, TrialNumbers
from trimtab.search.space import METHOD, SIGN


def form(content: SearchContent) -> Form:
    """Return how the objective is written."""
    return "number" if content.kind == "number" else "rate"


def shown(trial: TrialNumbers, content: SearchContent) -> float:
    """Return the objective of a trial that has one, in percent if it is a rate."""
    assert trial.select.mean is not None
    return trial.select.mean * scale(form(content))


def axis_name(content: SearchContent) -> str:
    """Return what an axis of the objective is called."""
    return f"{content.objective}{' %' * (form(content) == 'rate')}"


def setting(trial: TrialNumbers, name: str) -> float | str | None:
    """Return what was chosen of a setting, with its sign; None where the trial has it not."""
    value = trial.params.get(name)
    negative = trial.params.get(f"{name}{SIGN}") == "-"
    return -value if negative and isinstance(value, int | float) else value


def told(trial: TrialNumbers) -> str:
    """Return what a trial is: its method and what was chosen of its settings."""
    settings = []
    for name in trial.params:
        key = name.removeprefix(f"{trial.method}.")
        if name != METHOD and not name.endswith(SIGN):
            value = setting(trial, name)
            text = f"{value:.3g}" if isinstance(value, int | float) else str(value).strip('"')
            settings.append(f"{key} {text}".replace(" -", f" {MINUS}"))
    return f"{trial.method}: {', '.join(settings)}" if settings else trial.method


def confirmed_table(content: SearchContent) -> Table:
    """Return the configurations that were compared again, on select, confirm and test."""
    by_number = {trial.number: trial for trial in content.trials}
    seconds = [] if content.second is None else [content.second]
    rows: list[tuple[Cell, ...]] = []
    for item in content.confirmed:
        shrunk = _shrinkage(item.select, item.confirm)
        mark = " (winner)" if item.number == content.winner else ""
        rows.append(
            (
                f"{item.condition}{mark}",
                told(by_number[item.number]) if item.number > 1 else "",
                _cell(item.select, content),
                *(by_number[item.number].means.get(second) for second in seconds),
                _cell(item.confirm, content),
                None
                if shrunk is None or item.number < 2
                else measured(shrunk, None, form(content)),
                changed(item.change, form(content)),
                None if item.test is None else _cell(item.test, content),
                changed(item.test_change, form(content)),
            )
        )
    unit = " %" * (form(content) == "rate")
    name = content.objective
    columns = (
        "condition",
        "configuration",
        f"select: {name}{unit}",
        *seconds,
        f"confirm{unit}",
        "lost",
        "Δ on confirm",
        f"test{unit}",
        "Δ on test",
    )
    return Table("search", "What the search found", columns, tuple(rows), _note(content))


def _note(content: SearchContent) -> str:
    """Return what must be known to read the table of what was confirmed."""
    name = content.objective
    optimism = ""
    if content.optimism is not None:
        size = measured(content.optimism, None, form(content), signed=True)
        optimism = (
            f" By a bootstrap of the choice, the best on select looks better than it is by "
            f"{write_cell(size).text}."
        )
    chosen = (
        f" The configurations are those of the Pareto front of {name} and {content.second}; the "
        f"winner is the best of them by {name}."
        if content.second is not None
        else ""
    )
    over = f", on confirm over {counted(content.tests, 'test')}" if content.tests else ""
    note = (
        "select: problems by which trials were chosen, so these numbers flatter; confirm: problems "
        "that no trial saw; test: opened once, by the winner of confirm. lost: select minus "
        "confirm. Δ: paired difference to the baseline; * p < 0.05 "
        f"after Holm's correction{over}.{chosen}{optimism}"
    )
    if content.own_solutions is not None:
        note += (
            f" Fitted on the model's own solutions, right against wrong: {content.own_solutions}."
        )
    if content.leak:
        note += " Leaky on purpose: fitted on the select problems, and chosen by them."
    return note


def trials_table(content: SearchContent) -> Table:
    """Return every trial."""
    names = list(dict.fromkeys(name for trial in content.trials for name in trial.means))
    unit = " %" * (form(content) == "rate")
    columns = ("trial", "batch", "configuration", "state", "n", f"{content.objective}{unit}")
    rows = tuple(
        (
            f"{trial.number}",
            trial.batch,
            told(trial),
            trial.state,
            trial.change.n if trial.change is not None else trial.select.num_clusters,
            _cell(trial.select, content),
            changed(_uncorrected(trial.change), form(content)),
            *(trial.means.get(name) for name in names),
            trial.why or ("every answer is the baseline's" if trial.unchanged else ""),
        )
        for trial in content.trials
    )
    note = (
        f"{content.sampler} asked, {content.pruner} pruned: {content.rows:,} answers on select of "
        f"{content.rows_unpruned:,} without pruning. Δ: paired difference to the baseline on the "
        "problems that the trial answered, uncorrected. A failed trial has no value."
    )
    return Table(
        "trials", "All trials", (*columns, "Δ", *names, "why"), rows, note, display="folded"
    )


def trials_file(content: SearchContent) -> Table:
    """Return every trial unrounded, a column per parameter: for machines."""
    params = list(dict.fromkeys(name for trial in content.trials for name in trial.params))
    means = list(dict.fromkeys(name for trial in content.trials for name in trial.means))
    columns = ("trial", "batch", "method", "state", "rungs", "value", *params, *means, "why")
    rows = tuple(
        (
            f"{trial.number}",
            f"{trial.batch}",
            trial.method,
            trial.state,
            f"{trial.rungs}",
            "" if trial.select.mean is None else repr(trial.select.mean),
            *(_raw(trial.params.get(name)) for name in params),
            *(_raw(trial.means.get(name)) for name in means),
            trial.why or "",
        )
        for trial in content.trials
    )
    return Table("trials_raw", "All trials, unrounded", columns, rows, display="file")


def _raw(value: float | int | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _uncorrected(change: Comparison | None) -> Comparison | None:
    """Return a comparison without a star: what was looked at many times is no test."""
    return None if change is None else change.model_copy(update={"p": None, "p_holm": None})


def _cell(estimate: Estimate, content: SearchContent) -> Cell:
    return measured(estimate.mean, estimate.interval, form(content), clusters=estimate.num_clusters)


def _shrinkage(select: Estimate, confirm: Estimate) -> float | None:
    if select.mean is None or confirm.mean is None:
        return None
    return select.mean - confirm.mean
