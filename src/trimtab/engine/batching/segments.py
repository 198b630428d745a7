"""Which tokens are computed once: rows that agree on their tokens and on what acted so far.

A segment is a run of consecutive tokens of one row: its prompt, or an answer that follows it. Two
rows need one computation of their segments in block l if they agree on the tokens, on what came
before, and on the edits and adapters of blocks below l. So the prompt of a sweep is computed once
up to the lowest edited block, and once per strength above it. No torch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from trimtab.engine.request import Edit, Window
from trimtab.models.lowrank import Adapter

_END = 2**62
_WORTH_SHARING = 16

Act = tuple[int, Hashable]
"""An edit or adapter as far as it acts on a segment: the first block it changes, and the rest."""


@dataclass(frozen=True)
class Segment:
    """Consecutive tokens of one row.

    Attributes:
        tokens: Their ids.
        start: Absolute position of the first.
        num_prompt: Tokens of the row's whole prompt: what the edits' positions refer to.
        edits: The row's edits.
        adapter: The row's adapter.
    """

    tokens: tuple[int, ...]
    start: int
    num_prompt: int
    edits: tuple[Edit, ...] = ()
    adapter: Adapter | None = None

    def acts(self) -> list[Act]:
        """Return what tells this segment apart from one without edits and adapter.

        An adapter does so without a token, too: what comes before the segment depends on it.
        """
        stop = self.start + len(self.tokens)
        found: list[Act] = []
        if self.adapter is not None:
            found.append((self.adapter.lowest, self.adapter.key))
        for edit in self.edits:
            first, last = span(edit, self.num_prompt)
            first, last = max(first, self.start), min(last, stop)
            if first < last:
                what = (edit.layer, edit.site, id(edit.vector), edit.strength, first, last)
                found.append((first_changed(edit), what))
        return found


@dataclass(frozen=True)
class Stage:
    """A range of blocks in which the same segments share their computation.

    Attributes:
        first_layer: Its first block.
        owners: For each class of equal segments, the segment that stands for it.
        class_of: The class of each segment.
    """

    first_layer: int
    owners: tuple[int, ...]
    class_of: tuple[int, ...]


def span(edit: Edit, num_prompt: int) -> tuple[int, int]:
    """Return the half-open range of absolute positions where ``edit`` acts."""
    if isinstance(edit.positions, Window):
        stop = edit.positions.stop
        return edit.positions.start, _END if stop is None else stop
    return {
        "all": (0, _END),
        "prompt": (0, num_prompt),
        "last_prompt": (num_prompt - 1, num_prompt),
        "generated": (num_prompt - 1, _END),
        "after_prompt": (num_prompt, _END),
    }[edit.positions]


def first_changed(edit: Edit) -> int:
    """Return the first block whose input depends on ``edit``, or that is edited within."""
    return edit.layer + 1 if edit.site == "residual" else edit.layer


def stages(segments: Sequence[Segment], below: Sequence[Sequence[int]]) -> list[Stage]:
    """Return the stages of ``segments``, from block 0 to the output of the last.

    Args:
        segments: One per row; classes only get finer from block to block.
        below: For each block, the slot that holds what came before, per row: rows with equal slots
            have equal pasts. Must get finer from block to block, too.
    """
    acts = [segment.acts() for segment in segments]
    changed = {layer for row in acts for layer, _ in row}
    result: list[Stage] = []
    for layer in range(len(below) + 1):
        slots = below[min(layer, len(below) - 1)]
        if layer and layer not in changed and slots == below[layer - 1]:
            continue
        index_of: dict[Hashable, int] = {}
        owners: list[int] = []
        class_of: list[int] = []
        for row, (segment, slot) in enumerate(zip(segments, slots, strict=True)):
            acted = tuple(what for first, what in acts[row] if first <= layer)
            key = (segment.tokens, segment.start, slot, acted)
            if key not in index_of:
                index_of[key] = len(owners)
                owners.append(row)
            class_of.append(index_of[key])
        stage = Stage(layer, tuple(owners), tuple(class_of))
        if not result or stage.class_of != result[-1].class_of:
            result.append(stage)
    return result


def common_prefix(
    rows: Sequence[tuple[tuple[int, ...], tuple[Edit, ...]]],
    before: int = _END,
    worth: int = _WORTH_SHARING,
) -> int:
    """Return how many tokens at the start of every prompt are the same, with no edit acting there.

    Args:
        rows: (prompt, edits).
        before: A position that all of them must lie before.
        worth: Fewer tokens than these are not worth a pass of their own.

    Returns:
        0 for a single prompt, and for fewer than ``worth``.
    """
    prompts = [prompt for prompt, _ in rows]
    first, last = min(prompts), max(prompts)
    if first == last:
        return 0
    limit = min(before, min(len(prompt) for prompt in prompts) - 1)
    for prompt, edits in rows:
        limit = min([limit, *(span(edit, len(prompt))[0] for edit in edits)])
    common = 0
    while common < limit and first[common] == last[common]:
        common += 1
    return common if common >= worth else 0


def chunks(segments: Sequence[Segment], most_tokens: int) -> list[list[int]]:
    """Cut segments into lists of indices of at most ``most_tokens`` distinct tokens each.

    Equal segments with equal edits count once; a longer segment is alone.
    """
    result: list[list[int]] = []
    counted: set[Hashable] = set()
    total = 0
    for i, segment in enumerate(segments):
        what = (segment.tokens, segment.start, tuple(segment.acts()))
        new = 0 if what in counted else len(segment.tokens)
        if not result or (new and total + new > most_tokens):
            result.append([])
            counted.clear()
            total, new = 0, len(segment.tokens)
        result[-1].append(i)
        counted.add(what)
        total += new
    return result
