"""Cut requests into batches: similar lengths together, same prompts side by side. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What one request needs.

    Attributes:
        kind: Requests of different kinds never share a batch.
        prompt: Its token ids; equal prompts are put side by side.
        num_rows: Rows it takes in a batch.
        num_new: Tokens after the prompt.
    """

    kind: str
    prompt: tuple[int, ...]
    num_rows: int
    num_new: int


def batches(loads: Sequence[Load], max_rows: int, max_slots: int) -> list[list[int]]:
    """Return the indices of ``loads`` in batches, longest first.

    A batch holds at most ``max_rows`` rows and at most ``max_slots`` rows x tokens, but always at
    least one request. The cut depends on the requests and these two numbers alone.
    """
    order = sorted(
        range(len(loads)),
        key=lambda i: (loads[i].kind, -len(loads[i].prompt), loads[i].prompt, i),
    )
    result: list[list[int]] = []
    rows, width = 0, 0
    for index in order:
        load = loads[index]
        tokens = max(width, len(load.prompt) + load.num_new)
        same_kind = bool(result) and loads[result[-1][0]].kind == load.kind
        full = rows + load.num_rows > max_rows or (rows + load.num_rows) * tokens > max_slots
        if not same_kind or full:
            result.append([])
            rows, tokens = 0, len(load.prompt) + load.num_new
        result[-1].append(index)
        rows, width = rows + load.num_rows, tokens
    return result
