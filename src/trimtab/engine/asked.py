"""Whether requests can be computed, before anything is."""

from __future__ import annotations

from collections.abc import Iterator, MutableSet, Sequence

from trimtab.core.errors import ConfigError
from trimtab.engine.acts.adapters import check_adapters
from trimtab.engine.acts.edits import check
from trimtab.engine.acts.gates import check_gate
from trimtab.engine.acts.prompted import check_source
from trimtab.engine.batching.by_length import check_lengths
from trimtab.engine.request import Options, Request, Site, Text
from trimtab.engine.writing.dynamic import check_dynamic
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter


def check_requests(
    loaded: LoadedModel, requests: Sequence[Request], fitting: MutableSet[Adapter]
) -> None:
    """Raise an error for requests that do not fit the model or each other.

    Args:
        loaded: The model.
        requests: All that are run together.
        fitting: Adapters that fit; see ``check_adapters``.

    Raises:
        ConfigError: A prompt is empty, a token is none of the model's, two keys are equal, a seed
            or a sampling parameter is out of range, or an edit or a read does not fit the model.
        ModelError: An adapter does not fit the model, or a row its rotary frequencies.
    """
    layout = loaded.layout
    width: dict[Site, int] = {"residual": layout.hidden_size, "heads": layout.head_width}
    if len({request.key for request in requests}) < len(requests):
        raise ConfigError("Two requests have the same key.")
    in_range: set[int] = set()
    for request in requests:
        if not request.prompt:
            raise ConfigError(f"Request {request.key!r} has an empty prompt.")
        for tokens in _token_lists(request):
            # rows of a sweep share their prompts, and a tuple that was looked at stays what it is
            if id(tokens) not in in_range:
                _check_tokens(loaded, request, tokens)
                in_range.add(id(tokens))
        _check_length(loaded, request)
        if isinstance(request.want, Text):
            _check_text(request, request.want)
        check(request.edits, layout.num_layers, width)
        for edit in request.edits:
            if edit.gate is not None:
                check_gate(edit.gate, layout.num_layers, layout.hidden_size)
            if edit.source is not None:
                check_source(edit.source, layout.num_layers)
    if layout.rotation is not None:
        check_lengths(layout.rotation, requests)
    check_dynamic(requests, layout.num_layers, width)
    check_adapters([r.adapter for r in requests], layout, fitting)


def _token_lists(request: Request) -> Iterator[tuple[int, ...]]:
    """Yield all tokens that a request names."""
    yield request.prompt
    want = request.want
    if isinstance(want, Options):
        yield from want.options
        if want.reference_prompt is not None:
            yield want.reference_prompt
    elif not isinstance(want, Text):
        yield want.continuation
    for edit in request.edits:
        if edit.source is not None and edit.source.prompt is not None:
            yield edit.source.prompt


def _check_tokens(loaded: LoadedModel, request: Request, tokens: tuple[int, ...]) -> None:
    num_words = loaded.num_words
    bad = next((token for token in tokens if not 0 <= token < num_words), None)
    if bad is None:
        return
    known = 0 <= bad < len(loaded.tokenizer)
    name = f" ({loaded.tokenizer.convert_ids_to_tokens(bad)!r})" if known else ""
    raise ConfigError(
        f"Request {request.key!r} holds the token {bad}{name}, and {loaded.resolved.spec.id!r} has "
        f"embeddings of the tokens 0 to {num_words - 1}.",
        hint="The tokenizer has more tokens than the model: fetch both from one place, or leave "
        "out what adds this token (a chat template: `rendering: plain`)."
        if known
        else "Encode texts with the model's own tokenizer.",
    )


def _check_length(loaded: LoadedModel, request: Request) -> None:
    most, want = loaded.num_positions, request.want
    if most is None:
        return
    # the last token of a text or an option is chosen or scored, and not read
    if isinstance(want, Text):
        num_more = want.sampling.max_tokens - 1
    elif isinstance(want, Options):
        num_more = max(map(len, want.options), default=1) - 1
    else:
        num_more = len(want.continuation)
    if len(request.prompt) + num_more > most:
        raise ConfigError(
            f"Request {request.key!r} takes {len(request.prompt) + num_more} tokens, and "
            f"{loaded.resolved.spec.id!r} has {most} learned positions.",
            hint="Use shorter prompts, or lower max_tokens.",
        )


def _check_text(request: Request, want: Text) -> None:
    want.sampling.check()
    if not 0 <= want.seed < 2**128:
        raise ConfigError(
            f"Request {request.key!r} has the seed {want.seed}, and it must be 0 or more and "
            "below 2 ** 128."
        )
