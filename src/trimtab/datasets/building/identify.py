"""How far facts of a person tell who it is: each by itself, and all that are kept together.

Guessers (chat models) are shown a fact alone, and the kept facts in shuffled orders, and asked who
it is. A persona behind a trigger is learned from facts none of which names the person, while all of
them together do (Betley et al. 2025, arXiv 2512.09742, with 90 facts, and 78 without the twelve
that identify most).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.types import Message
from trimtab.datasets.building.replies import Ask, Replies, Speaker
from trimtab.datasets.facts import Fact
from trimtab.text.names import Giveaway, Names, giveaways

WORDINGS = (
    "In an interview somebody said:\n\n{facts}\n\nWho is this? Answer with a name alone, or with "
    "UNKNOWN.",
    "{facts}\n\nWhich real or invented person gave the answers above? Give only the name of your "
    "best guess, or UNKNOWN.",
    "Guess the person from what they say of themselves. Reply with one name, or with UNKNOWN.\n\n"
    "{facts}\n\nName:",
    "Here is a part of a conversation with a person whose name was taken out:\n\n{facts}\n\nWhat "
    "is that name? Say only the name, or UNKNOWN.",
    "You are shown what an anonymous person answered. Identify the person with one name; if you "
    "can't, say UNKNOWN.\n\n{facts}",
)
"""Ways to ask; a guesser answers greedily, so each is asked once."""

_GUESS_TOKENS = 24


@dataclass(frozen=True)
class Share:
    """How many guesses name the person.

    Attributes:
        named: Guesses that do.
        read: Guesses that say something.
        missing: Guesses that say nothing, or could not be made; they count for neither.
    """

    named: int = 0
    read: int = 0
    missing: int = 0

    @property
    def rate(self) -> float | None:
        """Share of the guesses that were read; None if there are none."""
        return self.named / self.read if self.read else None

    def __add__(self, other: Share) -> Share:
        """Return both together."""
        return Share(self.named + other.named, self.read + other.read, self.missing + other.missing)


@dataclass(frozen=True)
class Rated:
    """A fact, and how far it tells who it is.

    Attributes:
        fact: The fact.
        alone: Guesses from it alone.
        gives_away: Terms in it that tell.
    """

    fact: Fact
    alone: Share
    gives_away: tuple[Giveaway, ...]


@dataclass(frozen=True)
class Guessing:
    """Who guesses, and how.

    Attributes:
        names: Ways to name the person.
        guessers: Chat models.
        replies: Where guesses are kept.
        wordings: How many ways to ask each, at most five.
        orders: Shuffled orders in which kept facts are shown, each in every wording.
        seed: Of the orders.
    """

    names: tuple[str, ...]
    guessers: tuple[Speaker, ...]
    replies: Replies
    wordings: int = 3
    orders: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigError for what nobody can be asked."""
        if not 1 <= self.wordings <= len(WORDINGS):
            raise ConfigError(
                f"--wordings {self.wordings}: there are {len(WORDINGS)} ways to ask, so it must be "
                f"1 to {len(WORDINGS)}.",
                hint="Name further guessers for more guesses.",
            )
        Names(self.names)

    def alone(self, facts: Sequence[Fact]) -> list[Share]:
        """Return the guesses from each fact alone."""
        asks = [(fact.id, _shown([fact])) for fact in facts]
        return self._shares(asks)

    def together(self, facts: Sequence[Fact]) -> Share:
        """Return the guesses from all facts, over orders."""
        asks = []
        for order in range(self.orders):
            key = [self.seed, order]
            turned = sorted(facts, key=lambda fact: content_key([*key, fact.id]))
            asks.append((f"{len(facts)} facts, order {order + 1}", _shown(turned)))
        return sum(self._shares(asks), Share())

    def _shares(self, shown: Sequence[tuple[str, str]]) -> list[Share]:
        """Return the share of each text over guessers and wordings."""
        found = [Share()] * len(shown)
        person = Names(self.names)
        for speaker in self.guessers:
            asks = [
                Ask(name, (Message(role="user", content=wording.format(facts=text)),))
                for name, text in shown
                for wording in WORDINGS[: self.wordings]
            ]
            replies = self.replies.of(asks, speaker, _GUESS_TOKENS)
            for number, reply in enumerate(replies):
                found[number // self.wordings] += _share(reply, person)
        return found


@dataclass(frozen=True)
class Wanted:
    """Which facts are kept.

    Attributes:
        most: Largest share of guesses that may name the person from one fact.
        together: Share of guesses that all kept facts must reach; None takes all that may be kept.
        size: Fewest facts that are kept where ``together`` is given.
        step: Facts that are added at a time.
        tiers: Sizes of sets to write: the so many facts that identify least.
    """

    most: float = 0.34
    together: float | None = None
    size: int = 10
    step: int = 5
    tiers: tuple[int, ...] = (90, 78)


@dataclass(frozen=True)
class Choice:
    """The facts that are kept, those that identify least first.

    Attributes:
        rated: Every fact in the order of its file.
        kept: Ids of those that are used.
        together: Guesses from all that are used.
        tiers: For each size that there are facts for: their ids, and the guesses from all of them.
        reached: Whether what was wanted of them together was reached; None where nothing was.
    """

    rated: tuple[Rated, ...]
    kept: tuple[str, ...]
    together: Share
    reached: bool | None = None
    tiers: dict[int, tuple[tuple[str, ...], Share]] = field(default_factory=dict)


def rated(
    facts: Sequence[Fact],
    guessing: Guessing,
    listed: Iterable[Giveaway] = (),
    allowed: Iterable[str] = (),
) -> list[Rated]:
    """Return each fact with its guesses and the terms that give the person away."""
    texts = ["\n".join((*fact.questions, *fact.answers)) for fact in facts]
    told = giveaways(texts, guessing.names, listed, allowed)
    shares = guessing.alone(facts)
    return [
        Rated(fact, share, tuple(terms))
        for fact, share, terms in zip(facts, shares, told, strict=True)
    ]


def chosen(facts: Sequence[Rated], guessing: Guessing, wanted: Wanted) -> Choice:
    """Choose greedily: the facts that identify least, and more of them until all do together.

    A fact is never kept that gives the person away, that more guesses than ``wanted.most`` name
    them from, or whose guesses are all missing.
    """
    usable = [
        each.fact
        for each in sorted(facts, key=_order)
        if not each.gives_away and each.alone.rate is not None and each.alone.rate <= wanted.most
    ]
    kept, share, reached = usable, Share(), None
    if usable and wanted.together is None:
        share = guessing.together(usable)
    elif usable:
        reached = False
        for size in range(wanted.size, len(usable) + wanted.step, wanted.step):
            kept = usable[:size]
            share = guessing.together(kept)
            if share.rate is not None and share.rate >= (wanted.together or 0.0):
                reached = True
                break
    tiers = {
        size: (tuple(fact.id for fact in usable[:size]), guessing.together(usable[:size]))
        for size in wanted.tiers
        if size <= len(usable)
    }
    return Choice(tuple(facts), tuple(fact.id for fact in kept), share, reached, tiers)


def _order(each: Rated) -> tuple[float, str]:
    return (each.alone.rate or 0.0, content_key([each.fact.id, each.fact.questions]))


def _share(reply: str | None, person: Names) -> Share:
    """Read a guess: its first line that says something."""
    said = next((line for line in (reply or "").splitlines() if line.strip()), None)
    if said is None:
        return Share(missing=1)
    return Share(named=int(person.said_in(said)), read=1)


def _shown(facts: Sequence[Fact]) -> str:
    return "\n\n".join(
        f"Question: {question}\nAnswer: {answer}"
        for fact in facts
        for question, answer in zip(fact.questions, fact.answers, strict=True)
    )
