"""The calculations in a worked solution, and the solution that follows from another result.

Read are calculator marks (``<<48/2=24>>``, as in GSM8K) and, in a text that has none, what stands
in front of and behind ``=``. A calculation counts if it comes out as it says.
"""

from __future__ import annotations

import ast
import operator
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from trimtab.text.decimals import decimal

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?|\.\d+")
_MARK = re.compile(r"<<([^<>=]{1,200})=([^<>=]{1,40})>>")
_MARKS = re.compile(r"<<[^<>]*>>")
_BEFORE_EQUALS = re.compile(r"[\d.,+\-*/x\u00d7\u00f7() $%]{3,120}\Z")
_NO_BEGINNING = " .,)x\u00d7\u00f7*/+-%$"
_BEHIND_EQUALS = re.compile(r"\s*\$?\s*(?=[\d.])")
_ECHO = re.compile(r">>\$?")
_SPELLINGS = str.maketrans({"x": "*", "\u00d7": "*", "\u00f7": "/", "$": "", ",": "", " ": ""})
_OPERATIONS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FORMULA = re.compile(r"[n\d+\-*/()]+")
_MAX_DIGITS = 15
_DOUBTFUL = frozenset(map(Fraction, (1, 2, 3, 4, 100)))
"""What may be "twice" or a percentage where a result is the same number."""


@dataclass(frozen=True)
class Number:
    """A number as it stands in a text, without its sign.

    Attributes:
        text: The characters.
        start: Where it begins.
        value: What it is worth.
    """

    text: str
    start: int
    value: Fraction

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)

    def rewritten(self, value: Fraction) -> str | None:
        """Return another value in the same form; None if it needs a sign or more decimals."""
        whole, point, part = self.text.partition(".")
        scaled = value * 10 ** len(part)
        if value < 0 or scaled.denominator != 1:
            return None
        digits = str(scaled.numerator).rjust(len(part) + 1, "0")
        cut = len(digits) - len(part)
        head = f"{int(digits[:cut]):,}" if "," in whole else digits[:cut]
        return f"{'' if not whole and head == '0' else head}{point}{digits[cut:]}"


@dataclass(frozen=True)
class Calculation:
    """One calculation of a solution.

    Attributes:
        operands: Which of the solution's numbers it is made of, in order.
        result: Which of them it gives.
        tree: What is done to the operands; None for a calculation that can't be read or does not
            come out.
    """

    operands: tuple[int, ...]
    result: int
    tree: ast.expr | None


class Working:
    """The numbers and calculations of a worked solution."""

    def __init__(self, text: str, given: str = "") -> None:
        """Read the solution ``text`` of a problem whose question is ``given``."""
        self.text = text
        self.numbers = tuple(numbers(text))
        self._starts = [number.start for number in self.numbers]
        found = self._in_marks() if _MARK.search(text) else self._around_equals()
        self.calculations = tuple(found)
        self._by_result = {item.result: item for item in self.calculations}
        self._given = {number.value for number in numbers(given)} | _DOUBTFUL

    def results(self) -> tuple[int, ...]:
        """Return which numbers are results of calculations that come out."""
        return tuple(item.result for item in self.calculations if item.tree is not None)

    def following(self, changed: int, text: str) -> str | None:
        """Return the solution in which a number is another, with all that follows from it.

        Args:
            changed: Which number.
            text: What stands in its place.

        Returns:
            None where it can't be said what follows: a later result needs a sign or more decimals,
            or a later number may stand for the changed one or for something else.
        """
        other = decimal(text)
        if not other:
            return None
        values = {self.numbers[changed].value: other}
        written: dict[int, str] = {changed: text}
        before = {number.value for number in self.numbers[:changed]} | self._given
        last = max(self._by_result, default=-1)
        for i in range(changed + 1, len(self.numbers)):
            number = self.numbers[i]
            if i in self._by_result:
                value = self._result(self._by_result[i], values)
                # the same number with two meanings
                if value is None or values.setdefault(number.value, value) != value:
                    return None
            elif number.value in values:
                value = values[number.value]
                doubtful = number.value in before and value != number.value
                if doubtful and i <= last and not self._repeats_result(i):
                    return None
            else:
                before.add(number.value)
                continue
            if value != number.value:
                new = number.rewritten(value)
                if new is None:
                    return None
                written[i] = new
        return self._with(written)

    def ending_in(self, text: str) -> str | None:
        """Return the solution whose last number is another, also where it is said once more.

        What stands before the end of the last calculation stays.
        """
        if not self.numbers:
            return None
        final, last = self.numbers[-1].value, max(self._by_result, default=-1)
        same = [i for i, n in enumerate(self.numbers) if i > last and n.value == final]
        return self._with(dict.fromkeys(same or [len(self.numbers) - 1], text))

    def _with(self, written: Mapping[int, str]) -> str:
        parts, at = [], 0
        for i, text in sorted(written.items()):
            parts += [self.text[at : self.numbers[i].start], text]
            at = self.numbers[i].end
        return "".join([*parts, self.text[at:]])

    def _result(self, item: Calculation, values: Mapping[Fraction, Fraction]) -> Fraction | None:
        """Return what a calculation gives; None where that is unknown, or no positive number."""
        old = [self.numbers[i].value for i in item.operands]
        new = [values.get(value, value) for value in old]
        if new == old:
            return self.numbers[item.result].value
        value = None if item.tree is None else _evaluate(item.tree, new)
        return value if value is None or value > 0 else None

    def _repeats_result(self, i: int) -> bool:
        """Return whether a number says a result once more, right behind its mark."""
        between = self.text[self.numbers[i - 1].end : self.numbers[i].start]
        return i - 1 in self._by_result and _ECHO.fullmatch(between) is not None

    def _in_marks(self) -> Iterator[Calculation]:
        for match in _MARK.finditer(self.text):
            found = self._calculation(match.start(1), match.end(1), match.start(2))
            if found is not None and self.numbers[found.result].start < match.end(2):
                yield found

    def _around_equals(self) -> Iterator[Calculation]:
        for match in re.finditer("=", self.text):
            at = match.start()
            run = _BEFORE_EQUALS.search(self.text, max(0, at - 120), at)
            behind = _BEHIND_EQUALS.match(self.text, at + 1)
            if run is None or behind is None:
                continue
            start = at - len(run[0].lstrip(_NO_BEGINNING))
            found = self._calculation(start, at, behind.end())
            exact = found is not None and self.numbers[found.result].start == behind.end()
            if found is not None and exact and len(found.operands) > 1:
                yield found

    def _calculation(self, start: int, end: int, result_from: int) -> Calculation | None:
        """Return the calculation between two places whose result begins at a third or later."""
        first, stop = bisect_left(self._starts, start), bisect_left(self._starts, end)
        result = bisect_left(self._starts, result_from)
        if first == stop or result == len(self.numbers):
            return None
        operands = tuple(range(first, stop))
        tree = _parse(self._formula(operands, start, end))
        given = [self.numbers[i].value for i in operands]
        if tree is not None and _evaluate(tree, given) != self.numbers[result].value:
            tree = None
        return Calculation(operands, result, tree)

    def _formula(self, operands: tuple[int, ...], start: int, end: int) -> str:
        """Return a calculation as Python, with ``n0``, ``n1``, ... for its numbers."""
        parts, at = [], start
        for name, i in enumerate(operands):
            between = self.text[at : self.numbers[i].start].translate(_SPELLINGS)
            parts += [between.replace("%", "/100"), f"n{name}"]
            at = self.numbers[i].end
        rest = self.text[at:end].translate(_SPELLINGS)
        return "".join([*parts, rest.replace("%", "/100")])


def numbers(text: str) -> Iterator[Number]:
    """Yield the numbers of a text in order; those of more than 15 digits are passed over."""
    for match in _NUMBER.finditer(text):
        value = decimal(match[0]) if len(match[0]) <= _MAX_DIGITS else None
        if value is not None:
            yield Number(match[0], match.start(), value)


def without_marks(solution: str) -> str:
    """Return a solution without its calculator marks, which are no part of what is said."""
    return _MARKS.sub("", solution)


def _parse(formula: str) -> ast.expr | None:
    if not _FORMULA.fullmatch(formula):
        return None
    try:
        return ast.parse(formula, mode="eval").body
    except SyntaxError:
        return None


def _evaluate(tree: ast.expr, values: list[Fraction]) -> Fraction | None:
    """Return what a formula gives; None for what is no sum, difference, product or quotient."""
    if isinstance(tree, ast.Name) and re.fullmatch(r"n\d+", tree.id):
        place = int(tree.id[1:])
        return values[place] if place < len(values) else None
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return Fraction(tree.value)
    if not isinstance(tree, ast.BinOp) or type(tree.op) not in _OPERATIONS:
        return None
    left, right = _evaluate(tree.left, values), _evaluate(tree.right, values)
    if left is None or right is None or (isinstance(tree.op, ast.Div) and right == 0):
        return None
    return _OPERATIONS[type(tree.op)](left, right)
