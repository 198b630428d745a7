"""Figures of best-of-N: accuracy against N, energies of right and wrong, length, difficulty."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.reports.draw import style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

_WIDTH = 9.0
_COLUMNS = 3
_RIGHT, _WRONG = style.SERIES[0], style.PROMPT
_COLOURS = (*style.SERIES, style.PROMPT)
_BEST, _VOTE = "best by the ranking", "vote weighted by it"
# Colour, marker and dashes of each kind of choice, in the order of the legend.
_LOOKS = {
    "random": (style.BASELINE, "o", "--"),
    "majority": (style.SERIES[0], "s", "-"),
    "oracle": (style.CONTROL, "^", "--"),
    "format filter": (style.SERIES[1], "D", "-"),
    "shortest": (style.SERIES[3], "v", "-"),
    "longest": (style.SERIES[4], "o", "-"),
    _BEST: (style.PROMPT, "D", "-"),
    _VOTE: (style.SERIES[2], "v", "-"),
}
_REFERENCES = ("random", "majority", "oracle")
_PLAIN = (*_REFERENCES, "format filter", "shortest", "longest")

CAPTIONS = {
    "candidates": "Accuracy against the number of candidates, by exact expectation over subsets; "
    "the oracle's is pass@k. "
    "Bands: 95 % intervals over problems; where a ranking is shown, random, majority and oracle "
    "stand beside it without theirs.",
    "energies": "Scores of right and wrong candidates, as they are, and around the mean of their "
    "problem for problems that have both: what is left on the right is what can choose.",
    "length": "Score against length: a ranking that follows length has learned length.",
    "reliability": "Share of right candidates against sigmoid(-energy), ten bins of equal size.",
    "training": "Training of the rerankers: loss on the fit and select splits, and the share of a "
    "problem's pairs that are ordered right on the select split; the dot is what was kept.",
    "difficulty": "Gain over a random choice by how many of a problem's candidates are right.",
}


def selection_figures(summary: dict[str, Any], out_dir: Path) -> list[Path]:
    """Write the figures of the first test set that ``summary`` has; return the files."""
    made = next((m for m in summary["selection"] if m["problems"] and m["split"] == "test"), None)
    if made is None:
        return []
    scored = [r for r in made["rankings"] if r.get("histograms")]
    files = [*_curves(made, out_dir), *_difficulty(made, out_dir)]
    if scored:
        files += [*_histograms(scored, out_dir), *_length(scored, out_dir)]
    calibrated = [r for r in scored if r["calibration"]]
    if calibrated:
        files += _reliability(calibrated, out_dir)
    return files + _training(summary["rerankers"], out_dir)


def _training(rerankers: list[dict[str, Any]], out_dir: Path) -> list[Path]:
    if not rerankers:
        return []
    with style.canvas(_WIDTH, 3.6) as figure:
        losses, accuracies = figure.subplots(1, 2)
        for index, found in enumerate(rerankers):
            colour, marker = _COLOURS[index % len(_COLOURS)], style.MARKERS[0]
            history = found["history"]
            x = [look["update"] for look in history]
            told = [look for look in history if look["fit_loss"] is not None]
            losses.plot(
                [look["update"] for look in told], [look["fit_loss"] for look in told],
                color=colour, lw=1.0, ls="--",
            )  # fmt: skip
            losses.plot(x, [look["select_loss"] for look in history], color=colour, lw=1.5)
            accuracies.plot(
                x, [100 * look["select_pair_accuracy"] for look in history], color=colour, lw=1.5,
                label=found["ranking"],
            )  # fmt: skip
            best, kept = found["best_update"], found["select_pair_accuracy"]
            accuracies.plot([best], [100 * kept], color=colour, marker=marker, ms=6, ls="none")
        losses.set_ylabel("loss (fit dashed, select solid)")
        accuracies.set_ylabel("select pairs ordered right (%)")
        for axes in (losses, accuracies):
            axes.set_xlabel("updates")
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside lower center", ncols=3)
        rows = [
            (found["ranking"], *look.values()) for found in rerankers for look in found["history"]
        ]
        columns = ("ranking", "update", "fit loss", "select loss", "select pairs ordered right")
        data = _write(out_dir / "training.csv", columns, rows)
        return [*style.save(figure, out_dir / "training"), data]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8", newline="\n")
    return path


def _curves(made: dict[str, Any], out_dir: Path) -> list[Path]:
    """Draw what needs no model in one panel, and each ranking in one of its own beside it."""
    curves = made["curves"]
    panels = [("without a model", {n: n for n in _PLAIN if n in curves})]
    for ranking, best in zip(made["rankings"], made["selectors_by_ranking"], strict=False):
        own = {best: _BEST, f"vote by {ranking['ranking']}": _VOTE}
        panels.append((ranking["ranking"], {n: look for n, look in own.items() if n in curves}))
    lines, columns = _grid(len(panels))
    with style.canvas(_WIDTH, 0.6 + (4.2 if lines == 1 else 2.9) * lines) as figure:
        axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for at, (title, shown) in zip(axes.flat, panels, strict=False):
            for name in _REFERENCES:
                _curve(at, curves[name], name, band=name in shown)
            for name, look in shown.items():
                if name not in _REFERENCES:
                    _curve(at, curves[name], look, band=True)
            at.set_title(title)
        sizes = [p["k"] for p in curves["random"]]
        axes[0][0].set_xscale("log", base=2)
        axes[0][0].set_xticks(sizes, [str(k) for k in sizes])
        axes[0][0].minorticks_off()
        _label_edges(axes, len(panels), "candidates", "correct (%)")
        handles = {h.get_label(): h for at in axes.flat for h in at.get_lines()}
        figure.legend(handles=[handles[n] for n in _LOOKS if n in handles],
                      loc="outside lower center", ncols=4)  # fmt: skip
        rows = [
            (name, p["k"], p["mean"], *(p["interval"] or ["", ""]))
            for name, points in curves.items()
            for p in points
        ]
        header = ("selector", "k", "mean", "low", "high")
        data = _write(out_dir / "candidates.csv", header, rows)
        return [*style.save(figure, out_dir / "candidates"), data]


def _curve(axes: Axes, points: list[dict[str, Any]], look: str, *, band: bool) -> None:
    colour, marker, dashes = _LOOKS[look]
    known = [p for p in points if p["mean"] is not None]
    x = [p["k"] for p in known]
    if band:
        ends = [p["interval"] or [p["mean"], p["mean"]] for p in known]
        low, high = [100 * e[0] for e in ends], [100 * e[1] for e in ends]
        axes.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)
    y = [100 * p["mean"] for p in known]
    axes.plot(x, y, color=colour, marker=marker, ms=4, lw=1.5, ls=dashes, label=look)


def _grid(count: int) -> tuple[int, int]:
    """Return lines and columns of so many panels: at most three beside each other."""
    lines = -(-count // _COLUMNS)
    return lines, -(-count // lines)


def _label_edges(axes: Any, count: int, x: str, y: str) -> None:
    """Hide panels that hold nothing, and label the leftmost and the lowest ones."""
    columns = axes.shape[1]
    for index, at in enumerate(axes.flat):
        at.set_visible(index < count)
        if index % columns == 0:
            at.set_ylabel(y)
        if index + columns >= count:
            at.set_xlabel(x)
            at.tick_params(labelbottom=True)


def _histograms(rankings: list[dict[str, Any]], out_dir: Path) -> list[Path]:
    kinds = ("pooled", "problem-centred")
    rows = []
    with style.canvas(_WIDTH, 0.7 + 2.3 * len(rankings)) as figure:
        panels = figure.subplots(len(rankings), 2, squeeze=False)
        for line, ranking in zip(panels, rankings, strict=True):
            for axes, kind in zip(line, kinds, strict=True):
                found = ranking["histograms"].get(kind)
                axes.set_title(f"{ranking['ranking']}, {kind}")
                if found is None:
                    continue
                _steps(axes, found)
                for left, right, wrong in zip(
                    found["edges"], found["right"], found["wrong"], strict=False
                ):
                    rows.append((ranking["ranking"], kind, left, right, wrong))
        handles, names = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
        columns = ("ranking", "kind", "from", "right", "wrong")
        data = _write(out_dir / "energies.csv", columns, rows)
        return [*style.save(figure, out_dir / "energies"), data]


def _steps(axes: Axes, found: dict[str, Any]) -> None:
    for name, colour in (("right", _RIGHT), ("wrong", _WRONG)):
        total = max(1, sum(found[name]))
        heights = [count / total for count in found[name]]
        axes.stairs(heights, found["edges"], color=colour, fill=True, alpha=0.25)
        axes.stairs(heights, found["edges"], color=colour, lw=1.5, label=name)
    axes.set_ylabel("share")


def _length(rankings: list[dict[str, Any]], out_dir: Path) -> list[Path]:
    lines, columns = _grid(len(rankings))
    with style.canvas(_WIDTH, 0.6 + 3.0 * lines) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes, ranking in zip(panels.flat, rankings, strict=False):
            for right, colour, name in ((1.0, _RIGHT, "right"), (0.0, _WRONG, "wrong")):
                points = [p for p in ranking["points"] if p[2] == right]
                axes.plot(
                    [p[0] for p in points], [p[1] for p in points], ls="none", marker="o", ms=3,
                    color=colour, alpha=0.5, mec="none", label=name,
                )  # fmt: skip
            rho = ranking["length_correlation"]
            axes.set_title(
                ranking["ranking"]
                + ("" if rho is None else f"  \N{GREEK SMALL LETTER RHO} = {rho:+.2f}")
            )
        _label_edges(panels, len(rankings), "characters", "score")
        handles, names = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
        rows = [(r["ranking"], *point) for r in rankings for point in r["points"]]
        header = ("ranking", "characters", "score", "right")
        data = _write(out_dir / "length.csv", header, rows)
        return [*style.save(figure, out_dir / "length"), data]


def _reliability(rankings: list[dict[str, Any]], out_dir: Path) -> list[Path]:
    with style.canvas(_WIDTH / 2, 4.0) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=style.BASELINE, lw=1.0, ls="--", label="calibrated")
        for index, ranking in enumerate(rankings):
            bins = ranking["calibration"]["bins"]
            axes.plot(
                [b["predicted"] for b in bins], [b["right"] for b in bins],
                color=_COLOURS[index % len(_COLOURS)], lw=1.5, ms=5,
                marker=style.MARKERS[index % len(style.MARKERS)], label=ranking["ranking"],
            )  # fmt: skip
        axes.set_xlabel("sigmoid(-energy)")
        axes.set_ylabel("share right")
        figure.legend(loc="outside lower center", ncols=2)
        rows = [
            (r["ranking"], b["n"], b["predicted"], b["right"])
            for r in rankings
            for b in r["calibration"]["bins"]
        ]
        columns = ("ranking", "n", "predicted", "right")
        data = _write(out_dir / "reliability.csv", columns, rows)
        return [*style.save(figure, out_dir / "reliability"), data]


def _difficulty(made: dict[str, Any], out_dir: Path) -> list[Path]:
    bins = [b for b in made["difficulty"] if b["bin"] not in ("none right", "all right")]
    shown = ["majority", *made["selectors_by_ranking"]]
    rows = [
        (b["bin"], b["problems"], name, gain)
        for b in made["difficulty"]
        for name, gain in b["gain"].items()
    ]
    columns = ("share right", "problems", "selector", "gain over random")
    data = _write(out_dir / "difficulty.csv", columns, rows)
    if not bins:
        return [data]
    width = 0.8 / len(shown)
    with style.canvas(_WIDTH, 3.6) as figure:
        axes = figure.subplots()
        axes.axhline(0, color=style.BASELINE, lw=1.0)
        for index, name in enumerate(shown):
            at = [i + (index - (len(shown) - 1) / 2) * width for i in range(len(bins))]
            heights = [100 * b["gain"].get(name, 0.0) for b in bins]
            colour = _COLOURS[index % len(_COLOURS)]
            axes.bar(at, heights, width * 0.9, color=colour, label=name)
        axes.set_xticks(range(len(bins)), [f"{b['bin']}\nn = {b['problems']}" for b in bins])
        axes.set_xlabel("right candidates of a problem")
        axes.set_ylabel("gain over random (points)")
        figure.legend(loc="outside lower center", ncols=4)
        return [*style.save(figure, out_dir / "difficulty"), data]
