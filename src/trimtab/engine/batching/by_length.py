"""Divide requests whose rows have different rotary frequencies; see ``passes.rotation``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace

from trimtab.core.errors import ModelError
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.request import Activations, Options, OptionsResult, Request, Result, Text
from trimtab.models.load import LoadedModel
from trimtab.models.rotation import Rotation

Compute = Callable[[LoadedModel, Sequence[Request], Limits], Iterator[Result]]


def by_length(
    compute: Compute, loaded: LoadedModel, requests: Sequence[Request], limits: Limits
) -> Iterator[Result]:
    """Yield the results of requests of one kind, those of equal frequencies together."""
    rotation = loaded.layout.rotation
    if rotation is None:
        yield from compute(loaded, requests, limits)
        return
    groups: dict[Hashable, tuple[int, list[Request]]] = {}
    options: dict[Hashable, dict[Hashable, tuple[int, ...]]] = {}
    for request in requests:
        for length, indices, piece in _pieces(rotation, request):
            kind = rotation.kind(length)
            longest, group = groups.get(kind, (0, []))
            group.append(piece)
            groups[kind] = (max(length, longest), group)
            options.setdefault(request.key, {})[kind] = indices
    parts: dict[Hashable, list[tuple[tuple[int, ...], Result]]] = {}
    for kind, (length, group) in groups.items():
        for result in compute(replace(loaded, row_length=length), group, limits):
            found = parts.setdefault(result.key, [])
            found.append((options[result.key][kind], result))
            if len(found) == len(options[result.key]):
                yield _joined(parts.pop(result.key))


def check_lengths(rotation: Rotation, requests: Sequence[Request]) -> None:
    """Raise ModelError for a row that would have one set of frequencies and then another."""
    for request in requests:
        num_prompt, want = len(request.prompt), request.want
        if isinstance(want, Text) and rotation.switches(
            num_prompt, num_prompt + want.sampling.max_tokens - 1
        ):
            raise ModelError(
                f"Row {request.key!r} would grow from {num_prompt} to "
                f"{num_prompt + want.sampling.max_tokens - 1} tokens, and the model's rotary "
                f"frequencies (longrope) are others beyond {min(rotation.switching)}.",
                hint="Lower max_tokens, or use shorter (or longer) prompts.",
            )
        if isinstance(want, Options) and want.reference_prompt is not None:
            for j in want.reference:
                num_option = len(want.options[j])
                kinds = {
                    rotation.kind(num + num_option)
                    for num in (num_prompt, len(want.reference_prompt))
                }
                if len(kinds) > 1:
                    raise ModelError(
                        f"Row {request.key!r} is compared with a prompt of another length, and "
                        f"the model's rotary frequencies depend on it beyond {rotation.usual}.",
                        hint="Use shorter prompts, or no divergence.",
                    )


def _pieces(rotation: Rotation, request: Request) -> Iterator[tuple[int, tuple[int, ...], Request]]:
    """Yield requests for the options whose rows have equal frequencies.

    With each comes the length of its longest row, and which options it has; a request for anything
    else is one piece.
    """
    num_prompt, want = len(request.prompt), request.want
    if isinstance(want, Activations):
        yield num_prompt + len(want.continuation), (), request
        return
    if isinstance(want, Text):
        yield num_prompt, (), request
        return
    found: dict[Hashable, list[int]] = {}
    for i, option in enumerate(want.options):
        found.setdefault(rotation.kind(num_prompt + len(option)), []).append(i)
    for indices in found.values():
        length = num_prompt + max(len(want.options[i]) for i in indices)
        part = replace(
            want,
            options=tuple(want.options[i] for i in indices),
            reference=tuple(k for k, i in enumerate(indices) if i in want.reference),
        )
        yield length, tuple(indices), replace(request, want=part)


def _joined(parts: Sequence[tuple[tuple[int, ...], Result]]) -> Result:
    """Return the result of a request from those of its pieces, in the order of its options."""
    if len(parts) == 1:
        return parts[0][1]
    found: dict[int, tuple[float, float | None]] = {}
    for indices, part in parts:
        assert isinstance(part, OptionsResult)
        found |= zip(indices, zip(part.logprobs, part.kl, strict=True), strict=True)
    logprobs, kl = zip(*(found[i] for i in sorted(found)), strict=True)
    return OptionsResult(parts[0][1].key, logprobs, kl)
