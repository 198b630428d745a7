"""Items made by hand."""

from collections.abc import Callable

import pytest

from trimtab.core.types import Choice, Completion, FinishReason, Message, Sample
from trimtab.judges.base import Item


@pytest.fixture
def text_item() -> Callable[..., Item]:
    """Return a maker of items that hold a text."""

    def make(
        text: str | None,
        *,
        question: str = "Where is Paris?",
        target: str | None = None,
        error: str | None = None,
        finish_reason: FinishReason = "eos",
        num_tokens: int = 3,
        **metadata: list[str],
    ) -> Item:
        sample = Sample(
            id="s",
            messages=(Message(role="user", content=question),),
            target=target,
            metadata=dict(metadata),
        )
        completion = Completion(
            cell="c",
            sample_id="s",
            protocol="p",
            num_prompt_tokens=5,
            text=text,
            num_tokens=num_tokens,
            finish_reason=finish_reason,
            error=error,
        )
        return Item(sample, completion)

    return make


@pytest.fixture
def options_item() -> Callable[..., Item]:
    """Return a maker of items from (log-probability, choice) pairs."""

    def make(
        *options: tuple[float, Choice],
        num_tokens: tuple[int, ...] | None = None,
        kl: tuple[float | None, ...] | None = None,
    ) -> Item:
        sample = Sample(
            id="s",
            messages=(Message(role="user", content="Where?"),),
            choices=tuple(choice for _, choice in options),
        )
        completion = Completion(
            cell="c",
            sample_id="s",
            protocol="p",
            num_prompt_tokens=5,
            option_logprobs=tuple(logprob for logprob, _ in options),
            option_num_tokens=num_tokens,
            option_kl=kl,
            finish_reason="options",
        )
        return Item(sample, completion)

    return make
