"""The run directory: what was planned, what is there, and what is still owed.

The plan's first fragment is written last and makes a folder a run; everything it names is there.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from trimtab.core.errors import ConfigError
from trimtab.core.files import count_lines
from trimtab.core.garbage import collection_paused
from trimtab.core.lines import ReadResult
from trimtab.core.locks import locked
from trimtab.core.plan import Cell, DataRef, Fragment, JudgePlan, Plan
from trimtab.core.presence import NOTHING, Presence, RowKey, read_keys
from trimtab.core.records import (
    SegmentWriter,
    create_json,
    list_segments,
    read_json,
    write_json,
)
from trimtab.core.types import Completion, ContrastPair, Conversation, Sample, Score
from trimtab.runs.store.create import (
    CREATING,
    HEAD,
    OLD_PLAN,
    DataSets,
    check_data,
    file_stem,
    fragment_file,
    fragment_json,
    is_run,
    not_a_run,
    write_data,
    write_run,
)
from trimtab.runs.store.formats import judge_plan, present, upgraded
from trimtab.runs.store.kept import Kept
from trimtab.runs.store.reading import (
    OBJECT,
    OBJECTS,
    Faults,
    Signature,
    has_grown,
    misfit,
    parse,
    read_data,
    read_shaped,
    signature,
)
from trimtab.runs.store.reading import STRENGTHS as STRENGTH_SHAPE
from trimtab.runs.store.tally import Tally
from trimtab.tasks.base import TASKS

STRENGTHS = "strengths.json"
JUDGE_CHECK = "judge_check.json"


class Run:
    """One run directory; made by ``create``, found again by ``open``.

    Reading keeps parsed rows, of a large run those that were read last, and parses again when a
    file has changed, so that rows of other writers are seen.

    Attributes:
        dir: The directory.
        plan: What is to be done.
        config: The configuration the plan was made from.
    """

    def __init__(self, dir: Path, config: dict[str, Any], plan: Plan) -> None:
        """Take what was read or written; nothing is checked here."""
        self.dir = dir
        self.config = config
        self.plan = plan
        self._samples: dict[str, dict[str, Sample]] = {}
        self._kept = Kept()
        self._keys: dict[Path, tuple[Signature, Presence]] = {}

    @classmethod
    def create(
        cls,
        dir: Path,
        config: dict[str, Any],
        plan: Plan,
        data: DataSets,
        completions: Mapping[str, Sequence[Completion]] = MappingProxyType({}),
    ) -> Run:
        """Make a new run; killed at any moment, it leaves a complete run or none.

        Args:
            dir: A folder that is empty, does not exist, or in which ``create`` was killed before.
            config: The resolved configuration, JSON types.
            plan: What is to be done, of one fragment.
            data: Every set of rows that the plan names, by folder and key.
            completions: Rows that are there from the beginning, by their cell's key.

        Raises:
            StoreError: The folder holds a run or something else, or can't be written.
            HeldError: Another process is making a run there.
            DataError: An id occurs twice in a set.
        """
        write_run(dir, config, plan, data, completions)
        return cls.open(dir)

    @classmethod
    def open(cls, dir: Path) -> Run:
        """Return the run in ``dir``; raise StoreError, with a hint, if there is none."""
        if not is_run(dir):
            raise not_a_run(dir, _find_hint(dir))
        return cls(dir, read_shaped(OBJECT, dir / "config.json"), _read_plan(dir))

    def extend(self, fragment: Fragment, data: DataSets) -> bool:
        """Add a fragment to the plan, its data first; return False if its number is taken.

        Raises:
            DataError: An id occurs twice in a set.
            StoreError: The run directory can't be written.
        """
        assert fragment.number == len(self.plan.fragments), "fragments are numbered in order"
        check_data(fragment, data)
        write_data(self.dir, data)
        path = self.dir / fragment_file(fragment.number)
        added = create_json(path, fragment_json(fragment), sort=False, sealed=True)
        self.refresh()
        return added

    def refresh(self) -> bool:
        """Read the plan again; return whether another worker has added to it."""
        known = len(self.plan.fragments)
        if self.plan.format > 1:
            self.plan = _read_plan(self.dir)
        return len(self.plan.fragments) > known

    def samples(self, key: str) -> dict[str, Sample]:
        """Return a sample set by id, in its stored order."""
        if key not in self._samples:
            rows = read_data(self._data_file("samples", key), key, Sample)
            self._samples[key] = {row.id: row for row in rows}
        return self._samples[key]

    def data(self, ref: DataRef) -> Sequence[Sample | ContrastPair | Conversation]:
        """Return the rows of a fit's input in their stored order."""
        if ref.kind == "pairs":
            return self.pairs(ref.key)
        if ref.kind == "conversations":
            return read_data(self._data_file("conversations", ref.key), ref.key, Conversation)
        return list(self.samples(ref.key).values())

    def pairs(self, key: str) -> list[ContrastPair]:
        """Return a set of contrast pairs in its stored order."""
        return read_data(self._data_file("pairs", key), key, ContrastPair)

    def completions(self, cell: str) -> dict[RowKey, Completion]:
        """Return the completions of the cell with this key, sorted by their keys."""
        folder = self._completions_dir(cell)
        return self._kept.rows(folder, Completion, lambda row: row.cell == cell)

    def scores(self, judge: str, cell: str) -> dict[RowKey, Score]:
        """Return a judge's scores of a cell, both named by key, sorted by the rows' keys."""
        folder = self._scores_dir(judge, cell)
        return self._kept.rows(folder, Score, lambda row: row.judge == judge and row.cell == cell)

    def tally_completions(self, cell: str) -> Tally:
        """Return counts over a cell's completions, which are read if they were not before."""
        folder = self._completions_dir(cell)
        return self._kept.tally(folder, Completion, lambda row: row.cell == cell)

    def tally_scores(self, judge: str, cell: str) -> Tally:
        """Return counts over a judge's scores of a cell, which are read if they were not before."""
        folder = self._scores_dir(judge, cell)
        return self._kept.tally(folder, Score, lambda row: row.judge == judge and row.cell == cell)

    def num_lines(self, cell: str, judge: str | None = None) -> int:
        """Return how many lines there are for a cell: completions, or scores by a judge.

        Lines that are damaged, and repeated rows, are counted: it is the least that can be known
        of a large run at once.
        """
        folder = self._completions_dir(cell) if judge is None else self._scores_dir(judge, cell)
        return sum(map(count_lines, list_segments(folder)))

    def num_samples(self, key: str) -> int:
        """Return how many samples a set has, without reading them."""
        return count_lines(self._data_file("samples", key))

    def num_bytes(self) -> int:
        """Return how large the files of completions and scores are together."""
        folders = [self._completions_dir(cell.key) for cell in self.plan.cells]
        folders += [
            self._scores_dir(judge.key, cell.key)
            for judge in self.judges()
            for cell in self.plan.cells
            if judge.scores(cell)
        ]
        return sum(size for folder in folders for _, size, *_ in signature(folder))

    def completion_keys(self, cell: str) -> frozenset[RowKey]:
        """Return the keys of the completions of the cell with this key, without their rows."""
        return self._read_keys(self._completions_dir(cell), cell)

    def score_keys(self, judge: str, cell: str) -> frozenset[RowKey]:
        """Return the keys of a judge's scores of a cell, without their rows."""
        return self._read_keys(self._scores_dir(judge, cell), cell, judge)

    def completion_writer(self, attempt: int, cell: str) -> SegmentWriter:
        """Return a writer of a new segment of a cell's completions."""
        return SegmentWriter(self._completions_dir(cell) / _segment(attempt))

    def score_writer(self, attempt: int, judge: str, cell: str) -> SegmentWriter:
        """Return a writer of a new segment of a judge's scores of a cell."""
        return SegmentWriter(self._scores_dir(judge, cell) / _segment(attempt))

    def owed(self, cell: Cell) -> list[tuple[str, int]]:
        """Return (sample id, index) of each completion that is missing, in planned order.

        The order is that of the stored samples, and within a sample that of the index. A row that
        holds an error is there: it counts as missing in reports, but is not tried again.
        """
        present = self.completion_keys(cell.key)
        return [
            (sample, index)
            for sample in self.samples(cell.samples)
            for index in range(cell.num_samples)
            if (cell.key, sample, index) not in present
        ]

    def artifact_dir(self, key: str) -> Path:
        """Return the folder of an artifact, which need not exist."""
        return self.dir / "artifacts" / file_stem(key)

    def has_artifact(self, key: str) -> bool:
        """Return whether an artifact is complete: its ``artifact.json`` is written last."""
        return (self.artifact_dir(key) / "artifact.json").is_file()

    def artifact_info(self, key: str) -> dict[str, Any] | None:
        """Return what ``artifact.json`` says of an artifact; None while it is owed."""
        if not self.has_artifact(key):
            return None
        return read_shaped(OBJECT, self.artifact_dir(key) / "artifact.json")

    @property
    def strengths(self) -> dict[str, dict[str, float]]:
        """Each cell's strength as ``raw``, ``unit`` and ``relative``; empty before the fit."""
        path = present(self.dir, STRENGTHS)
        return read_shaped(STRENGTH_SHAPE, path) if path.is_file() else {}

    @property
    def extra_judges(self) -> tuple[JudgePlan, ...]:
        """Judges that were added after planning, in the order they were added."""
        path = self.dir / "judges.json"
        if not path.is_file():
            return ()
        items = read_shaped(OBJECTS, path)
        return tuple(parse(JudgePlan, judge_plan(item), path) for item in items)

    def judges(self) -> tuple[JudgePlan, ...]:
        """Return the plan's judges, then the added ones."""
        return (*self.plan.judges, *self.extra_judges)

    @property
    def judge_checks(self) -> list[dict[str, Any]]:
        """What checks of judges found, from every folder of ``judge_checks/``."""
        files = sorted((self.dir / "judge_checks").glob(f"*/{JUDGE_CHECK}"))
        return [found for path in files for found in read_shaped(OBJECTS, path)]

    def add_judge(self, judge: JudgePlan) -> None:
        """Let one more judge score this run; nothing happens if its key is there already."""
        with locked(self.dir / ".judges.lock"):
            if judge.key in {known.key for known in self.judges()}:
                return
            write_json(
                self.dir / "judges.json",
                [item.model_dump(mode="json") for item in (*self.extra_judges, judge)],
                sealed=True,
            )

    def problems(self) -> list[str]:
        """Return what was wrong with the rows read so far, a line each, paths within the run."""
        found = self.faults()
        return sorted([*found.torn, *found.invalid, *found.conflicts, *found.repeated])

    def faults(self) -> Faults:
        """Return what was wrong with the rows read so far, kind by kind, paths within the run."""
        found = Faults()
        for folder, result, count in self._kept.faults():
            found.add(result, count, folder, self.dir)
        for folder, (_, presence) in self._keys.items():
            if folder not in self._kept:
                damage = ReadResult[Any](torn=[*presence.torn], invalid=[*presence.invalid])
                found.add(damage, 0, folder, self.dir)
        return found

    def _data_file(self, folder: str, key: str) -> Path:
        return self.dir / folder / f"{file_stem(key)}.jsonl"

    def _completions_dir(self, cell: str) -> Path:
        return self.dir / "completions" / file_stem(cell)

    def _scores_dir(self, judge: str, cell: str) -> Path:
        return self.dir / "scores" / file_stem(judge) / file_stem(cell)

    def _read_keys(self, folder: Path, cell: str, judge: str | None = None) -> frozenset[RowKey]:
        state = signature(folder)
        before, known = self._keys.get(folder, ((), NOTHING))
        if folder not in self._keys or before != state:
            # a file that a worker writes is read on from where it ended
            grew = has_grown(before, state) and not (known.torn or known.invalid)
            with collection_paused():
                found = read_keys(folder, cell, judge, known if grew else NOTHING)
            self._keys[folder] = (state, found)
        return self._keys[folder][1].keys


def _segment(attempt: int) -> str:
    return f"a{attempt:04d}-{secrets.token_hex(4)}.jsonl"


def _read_plan(dir: Path) -> Plan:
    """Return the plan with all fragments that are there."""
    old = dir / OLD_PLAN
    if old.is_file():
        try:
            whole: dict[str, Any] = read_shaped(OBJECT, old)
            return upgraded(whole, _task_of)
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            raise misfit(old, str(error).splitlines()[0]) from None
    fragments: list[Fragment] = []
    while (dir / fragment_file(len(fragments))).is_file():
        path = dir / fragment_file(len(fragments))
        fragments.append(parse(Fragment, read_json(path), path))
    plan = parse(Plan, read_json(dir / HEAD), dir / HEAD)
    if not all(part.cells or part.fits or part.judges for part in fragments[:1]):
        raise misfit(dir / fragment_file(0), "it plans nothing")
    return plan.model_copy(update={"fragments": tuple(fragments)})


def _task_of(task: Mapping[str, Any]) -> tuple[str, str]:
    """Return rendering and protocol of the task of a cell of format 1; nothing where it is gone."""
    try:
        built = TASKS.build(task["name"], task["config"])
    except ConfigError:
        return "chat", ""
    return built.rendering, built.protocol


def _find_hint(dir: Path) -> str:
    if (dir / CREATING).is_file():
        return "Making it was interrupted before anything was computed: start the run again."
    near = sorted(path for path in dir.glob("*") if is_run(path))[:3]
    if near:
        return "Did you mean " + " or ".join(repr(str(path)) for path in near) + "?"
    return "Give the folder that `trimtab run` printed, which holds plan/."
