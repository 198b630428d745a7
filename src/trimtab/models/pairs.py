"""A problem and a candidate answer as the text that every energy model reads.

There is one rendering. Its hash is kept in each energy model's files and checked when one is
loaded: a model that was trained on one layout and asked in another gives numbers without meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as token_models

from trimtab.core.errors import DataError, StoreError
from trimtab.core.files import replace_file
from trimtab.core.keys import content_key

PAD, START, MIDDLE, END = "<pad>", "<start>", "<answer>", "<end>"
_SPECIAL = (PAD, START, MIDDLE, END)
_PROBES = (("", ""), (" Why?\r\n", "\n\nA: 7 \n"), ("Ünï\u00a0code\t", "so 1 - 2 = -1\n#### -1"))


@dataclass(frozen=True)
class Pair:
    """A rendered pair.

    Attributes:
        question: Text before the answer.
        answer: Text that is judged.
    """

    question: str
    answer: str


@dataclass(frozen=True)
class Tokens:
    """A pair as token ids.

    Attributes:
        ids: ``<start>`` question ``<answer>`` answer ``<end>``.
        answer_from: Position of the first token after ``<answer>``.
        cut: Tokens that did not fit.
    """

    ids: tuple[int, ...]
    answer_from: int
    cut: int


def render_pair(problem: str, text: str) -> Pair:
    """Return what an energy model reads: both texts, without margins and carriage returns."""
    problem, text = ("\n".join(part.strip().splitlines()) for part in (problem, text))
    return Pair(f"Question: {problem}\n", f"Answer: {text}")


def pair_hash() -> str:
    """Return a hash of what ``render_pair`` does."""
    rendered = [render_pair(*probe) for probe in _PROBES]
    return content_key([[pair.question, pair.answer] for pair in rendered])


class PairTokenizer:
    """Byte-level BPE with single digits, made from the texts that an encoder is fitted on.

    A vocabulary of its own keeps a small encoder small, and independent of the generator.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        """Take a tokenizer made by ``train``, and the most tokens of a pair."""
        self._tokenizer = tokenizer
        self.max_length = max_length

    @classmethod
    def train(cls, pairs: Iterable[Pair], size: int, max_length: int) -> PairTokenizer:
        """Make a vocabulary of at most ``size`` tokens from ``pairs``."""
        tokenizer = Tokenizer(token_models.BPE())
        digits = pre_tokenizers.Digits(individual_digits=True)
        level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, level])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(_SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        texts = (part for pair in pairs for part in (pair.question, pair.answer))
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer, max_length)

    @classmethod
    def load(cls, path: Path, max_length: int) -> PairTokenizer:
        """Read what ``save`` wrote; raise StoreError if it is missing or damaged."""
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")), max_length)
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} can't be read: {error}.") from error
        except Exception as error:  # the library raises the bare class for a file that is no JSON
            raise StoreError(f"{path} is no tokenizer: {error}.") from error

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json``."""
        replace_file(path, self._tokenizer.to_str().encode())

    @property
    def size(self) -> int:
        """Number of tokens."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, pairs: Sequence[Pair]) -> list[Tokens]:
        """Return each pair's ids; what is too long loses the answer's beginning, then the question.

        The end of an answer says what it comes to, so it is kept.
        """
        texts = [part for pair in pairs for part in (pair.question, pair.answer)]
        # Marks of ours within a text are text, not marks.
        self._tokenizer.encode_special_tokens = True
        found = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        return [self._join(found[i], found[i + 1]) for i in range(0, len(found), 2)]

    def _join(self, question: list[int], answer: list[int]) -> Tokens:
        room = self.max_length - 3
        if room < 2:
            raise DataError(f"max_length = {self.max_length} leaves no room for a pair.")
        cut = max(0, len(question) + len(answer) - room)
        kept_question = question[: max(room - len(answer), room // 2)]
        kept_answer = answer[max(0, len(answer) - (room - len(kept_question))) :]
        start, middle, end = (_SPECIAL.index(mark) for mark in (START, MIDDLE, END))
        ids = (start, *kept_question, middle, *kept_answer, end)
        return Tokens(ids, len(kept_question) + 2, cut)
