"""What a campaign found: totals of each kind, as a table, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trimtab import __version__
from trimtab.compute.chaos.campaign import Instance
from trimtab.core.counted import counted
from trimtab.core.files import replace_file
from trimtab.core.records import write_json

COLUMNS = (
    *("fault", "runs", "tried", "hit", "rows lost", "rows doubled", "rows that differ"),
    *("artifacts that differ", "summaries that differ", "left over", "other problems"),
)
_LEVEL = 0.95


@dataclass
class Results:
    """A campaign.

    Attributes:
        experiment: The experiment, as it was named.
        on: Where workers were started.
        seed: What faults were drawn with.
        num_rows: Rows of the undisturbed run.
        seconds: How long that one took.
        not_played: Faults that can't be played, each with the reason.
        instances: Those that have ended.
    """

    experiment: str
    on: str
    seed: int
    num_rows: int
    seconds: float
    not_played: Mapping[str, str]
    instances: list[Instance] = field(default_factory=list)

    def table(self) -> list[tuple[str, ...]]:
        """Return a row of cells for each kind, in the order of ``COLUMNS``."""
        kinds = dict.fromkeys(each.fault for each in self.instances)
        return [_totals(kind, [i for i in self.instances if i.fault == kind]) for kind in kinds]

    def failed(self) -> list[Instance]:
        """Return the instances that did not hold."""
        return [each for each in self.instances if each.lines()]

    def finding(self) -> str:
        """Return what was found, in a sentence."""
        hits = sum(each.hits for each in self.instances)
        runs = counted(len(self.instances), "run")
        if failed := self.failed():
            return f"{len(failed)} of {runs} did not hold."
        hit = [each for each in self.instances if each.hits]
        if not hit:
            return f"No fault hit any of {runs}, so nothing was shown: the experiment is too short."
        most = 1 - (1 - _LEVEL) ** (1 / len(hit))
        return (
            f"Nothing was lost: {counted(hits, 'fault')} hit {len(hit)} of {runs} with "
            f"{self.num_rows:,} rows each. If such faults lost something in more than {most:.0%} "
            f"of the runs that they hit, this would have been seen with 95% probability."
        )

    def markdown(self) -> str:
        """Return the page."""
        head = [f"# Faults on {self.on}", "", self.finding(), ""]
        rule = "|" + "|".join("---" if n == 0 else "---:" for n in range(len(COLUMNS))) + "|"
        rows = [_line(COLUMNS), rule, *(_line(row) for row in self.table())]
        absent = [f"- not played: {name}: {why}." for name, why in self.not_played.items()]
        told = [
            f"- {each.fault} {each.number}: {line}"
            for each in self.failed()
            for line in each.lines()
        ]
        foot = [
            f"Experiment: {self.experiment}; seed {self.seed}; undisturbed it took "
            f"{self.seconds:.0f} s in one process; trimtab {__version__}."
        ]
        return "\n".join(
            [*head, *rows, "", *absent, *told, *([""] if absent or told else []), *foot, ""]
        )

    def json(self) -> dict[str, Any]:
        """Return everything, as JSON types."""
        names = [name.replace(" ", "_") for name in COLUMNS[1:]]
        return {
            "trimtab": __version__,
            **{k: v for k, v in vars(self).items() if k not in ("instances", "not_played")},
            "not_played": dict(self.not_played),
            "finding": self.finding(),
            "faults": {
                row[0]: {n: _number(cell) for n, cell in zip(names, row[1:], strict=True)}
                for row in self.table()
            },
            "instances": [asdict(each) for each in self.instances],
        }

    def write(self, folder: Path) -> None:
        """Write ``chaos.json`` and ``chaos.md``; raise StoreError if that can't be."""
        write_json(folder / "chaos.json", self.json())
        replace_file(folder / "chaos.md", self.markdown().encode())


def _totals(kind: str, some: Sequence[Instance]) -> tuple[str, ...]:
    losses = [each.losses for each in some]
    left = [each.left for each in some]
    numbers = (
        len(some),
        sum(each.tries for each in some),
        sum(each.hits for each in some),
        sum(len(each.lost) for each in losses),
        sum(len(each.doubled) for each in losses),
        sum(len(each.differing) for each in losses),
        sum(len(each.artifacts) for each in losses),
        sum(each.summary is not None for each in losses),
        None if None in left else sum(each or 0 for each in left),
        sum(len(each.problems) for each in some),
    )
    return (kind, *("not known" if number is None else str(number) for number in numbers))


def _number(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
