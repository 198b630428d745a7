"""Whether a text denies the number or word that it names: ``is not 42``, ``42 is wrong``.

Only what stands directly at it counts, with nothing but fillers between: ``not more than 42``,
``not only 42`` and ``I did not use 3`` deny something else.
"""

from __future__ import annotations

import re

_REACH = 120
"""Characters before and behind that are looked at."""

_NOT = (
    r"(?:\b(?:not|never|neither|nor|cannot|isnt|aint|wasnt|cant|hardly|no\s+longer"
    r"|(?<!not )(?<!never )(?<!n['\u2019]t )(?<!not be )(?<!never be )(?<!n['\u2019]t be )"
    r"anything\s+but"
    r"|far\s+from|unlikely\s+to\s+be|other\s+than"
    r"|different\s+from"
    r"|differs\s+from|rather\s+than|instead\s+of)\b|n['\u2019]t\b|!=|<>)"
)
_PHRASE = r"(?:in\s+fact|after\s+all|of\s+course|at\s+all)\b"
_FILLER_WORD = (
    r"(?:be|been|being|an?|the|to|either|exactly|quite|really|actually|truly|definitely"
    r"|certainly|equals?|going|number|value|grade|score|label|come|add|sum|amount|out|up|boxed"
    r"|text)\b"
)
# Each text is read in one way alone, as what is read in two takes twice as long with every filler.
# No atomic groups: Python 3.11.2 reads them wrongly.
_FILLER = (
    r"(?:[\s*$\u00a3\u20ac\"'`\u201c\u2018\u00ab(\[{~_#]"
    rf"|\\?{_FILLER_WORD}|\\(?!{_FILLER_WORD})|\b{_PHRASE}|,(?=\s*{_PHRASE})"
    rf"|(?:(?<=fact)|(?<=all)|(?<=course)),(?!\s*{_PHRASE}))*"
)
_THOUGHT = r"\b(?:think|thinks|believe|believes|true|the\s+case|say|saying|mean)\b"
_SUBJECT = (
    r"(?:it|this|that|there|[xyzn]|(?:(?:the|my|our|your|final|correct|right)\s+){0,3}"
    r"(?:answer|result|solution|total|sum|number|value))"
)
_WRONG = r"(?:wrong|incorrect|false|mistaken|impossible)"
_NO_FACT = (
    rf"(?:(?:{_NOT}\s+{_THOUGHT}|(?<!nor do )(?<!neither do )\b(?:i|we)(?:['\u2019]d)?\s+"
    r"(?:(?:do|would|must|may|might|have\s+to|still|also|very\s+much"
    r"|(?!hardly|scarcely|barely|rarely)\w+ly)\s+){0,2}doubt"
    r"|(?<!no )(?<!n['\u2019]t )(?<!not )(?<!without )(?<!hardly )"
    r"\b(?:some|much|great|serious|considerable)\s+doubt)"
    r"(?:\s+that)?"
    rf"|\b(?:{_WRONG}|untrue|unlikely|improbable|not)\s+that|\bno\s+way(?:\s+that)?)"
)
_NOT_SAID = (
    rf"(?:{_NOT}|\b(?:nobody|no\s+one))\s+(?:(?:would|will|can|could)\s+)?(?:say|answer|guess)"
    r"|\b(?:we|you|i)\s+(?:(?:do|does|did|can|could|will|would)\s*"
    r"(?:not|n['\u2019]t)|cannot|never)\s+(?:get|obtain|reach|arrive\s+at)"
)
_BEFORE = re.compile(
    rf"(?:{_NOT}\s*[:=]?{_FILLER}"
    # "I don't think that the answer is 42", "I doubt it's 42", "There's no way it is 42"
    rf"|{_NO_FACT}\s+{_SUBJECT}"
    rf"(?:['\u2019]s|\s+(?:is|was|equals|would\s+be|could\s+be|can\s+be)|\s*[:=])?{_FILLER}"
    rf"|(?:{_NOT_SAID}){_FILLER}"
    rf"|(?:\b{_WRONG}|{_NOT}\s+(?:the|my|our))\s+(?:answer|result|solution|total|value|number)"
    rf"(?:\s+(?:is|was|would\s+be)|\s*:)?{_FILLER})\Z",
    re.IGNORECASE,
)
_STOP = (
    r"(?=[\s*\"'\u201d\u2019)\]$]*(?:[.,;:!\n\u2014\u2013]|\s-"
    r"|\b(?:because|since|as|but|so|either)\b|\Z))"
)
_ADVERB = r"(?:(?:\w{2,12}ly|also|just|quite|still|so)\s+)?"
_NO_ANSWER = (
    r"(?:(?:the|an?|my|our)\s+)?(?:(?:correct|right|true|final|actual)\s+){0,2}"
    r"(?:answer|result|solution|number|value|total|grade|score|label|it|correct|right|true"
    rf"|accurate|valid|possible)\b(?!-){_STOP}"
)
_DENYING = (
    rf"\s*(?:(?:\b(?:is|was|are|seems|looks|(?:must|has\s+to|would)\s+be)|['\u2019](?:s|re))\s+{_ADVERB}"
    rf"(?:(?:the|an?)\s+)?{_WRONG}\b(?!\s*\?)"
    rf"|(?:\b(?:does\s+not|doesn['\u2019]t|will\s+not|won['\u2019]t|can\s*not|can['\u2019]t)"
    rf"\s+(?:work|fit)|\bfails|\bis\s+(?:far\s+|much\s+)?too\s+"
    rf"(?:large|big|high|small|low|many|few|much|little)){_STOP}"
    rf"|(?:(?:\b(?:is|was|are|can|could|would|does)|['\u2019]s)\s+{_ADVERB}(?:not|never)"
    r"|\b(?:is|was|are|ca|could|would|does)n['\u2019]t|\bcannot|\bisnt)\s+"
    rf"(?:(?:be|seem|look)\s+)?{_ADVERB}{_NO_ANSWER})"
)
_UNIT = (
    r"[\s*$%\"'\u201d\u2019`)\]}]*(?:\b(?!(?:because|since|as|but|and|or|so|if|which|that|this|it"
    r"|while|though|although|i|he|she|we|you|they|is|was|are)\b)[^\W\d_]{1,20}\b\s*){0,2}?"
)
_LATER = r"[\s*\"'$)\]}]*(?:[.,;!]|\s[-\u2014\u2013])\s*"
_TAKING_BACK = r"(?:\b(?:no|wait|actually|but|oh|hmm|sorry|hold\s+on)\b[,.!]*\s+)"
_FORMER = (
    r"(?:\s+(?:is|was)\s+(?:my|our|his|her|their|the)\s+(?:first|initial|original|earlier|previous)"
    r"\s+(?:guess|answer|thought|attempt|try|idea|result|estimate))?"
)
_UNSURE = (
    r"(?:(?:i|we)\s+(?:do\s+not|don['\u2019]t|can(?:not|['\u2019]t)|could\s*n['\u2019]t)\s+"
    r"(?:know|say|tell|be\s+sure)|(?:i['\u2019]m|i\s+am|we\s+are|we['\u2019]re)?\s*not\s+(?:so\s+)?sure"
    r"|no\s+idea|hard\s+to\s+(?:say|tell)|who\s+knows)\b"
)
_NOT_FOR = (
    r"(?!(?:\s+for\s+(?:sure|certain))?\s+(?:(?:that\s+|if\s+|whether\s+)?(?:it|that|this)(?:['\u2019]s|\s+(?:is|was))\s+"
    rf"{_WRONG}|why|what\s+else|how(?!\s+to\b)|otherwise|any(?!\s*more\b)|anyone|anybody|an?|another"
    r"|of(?!\s+(?:it|that|this)\b))\b)"
)
"""``I don't know why you ask`` is sure of the answer."""
_BARE = r"(?:\s+(?:is|was)|['\u2019]s)\s+not\s*(?:[.!]|\Z)"
"""``No wait, it's not.``, with nothing behind it."""
_DIRECTLY_AFTER = re.compile(rf"{_UNIT}{_DENYING}", re.IGNORECASE)
_AFTER = re.compile(
    rf"{_UNIT}(?:,?\s*(?:but\s+)?\b(?:which|that|this|it)(?=['\u2019\s]))?{_DENYING}"
    rf"|{_UNIT}\(\s*(?:{_WRONG}|not\s+(?:correct|right))\b"
    rf"|[\s*\"'$)\]]*\?\s*(?:(?:no|nope|wrong|incorrect)\b|{_UNSURE}{_NOT_FOR})"
    rf"|[\s*\"'$)\]]*[-\u2014\u2013]\s*{_WRONG}\b{_STOP}"
    rf"|{_FORMER}{_LATER}{_TAKING_BACK}*\b(?:that|this|it)(?=['\u2019\s])(?:{_DENYING}{_STOP}|{_BARE})"
    rf"|{_LATER}{_TAKING_BACK}+no\s*(?:[.!]|\Z)",
    re.IGNORECASE,
)
_OTHERS_SAY = re.compile(
    r"(?:\b(?:some|many|most|others?|people|everyone|everybody|someone|somebody|they|he|she|students?"
    r"|friends?|teacher|brother|sister|classmates?|colleagues?"
    r"|mother|father|mom|dad|boss|neighbou?r|wife|husband|daughter|son|guy|user)"
    r"|\b(?-i:(?!(?:We|My|Our|The|Also|Finally|So|Then|Now|Calculator|Calculation)\b)"
    r"[A-Z][a-z]\w*))\s+"
    r"(?:says?|said|thinks?|thought|claims?|claimed|guess(?:es|ed)?|gets?|got|answer(?:s|ed)?|writes?"
    r"|wrote|believes?|believed|obtain(?:s|ed)?)"
    rf"(?:\s+that)?(?:\s+{_SUBJECT}(?:['\u2019]s|\s+(?:is|was)))?{_FILLER}\Z",
    re.IGNORECASE,
)
_THEY_ERR = re.compile(
    rf"{_UNIT},?\s*(?:but|and|yet)\s+(?:they|he|she|everyone|everybody)(?=['\u2019\s]){_DENYING}{_STOP}",
    re.IGNORECASE,
)
"""``Some say 42, but they are wrong``; of ``I say 42, and they are wrong`` it denies nothing."""
_STATED = re.compile(
    rf"\b{_SUBJECT}(?:\s+(?:is|was|equals)|['\u2019]s)\s+\W{{0,4}}\Z", re.IGNORECASE
)
_NEXT = re.compile(
    r"[\s*%)\]$\"']*[,;.]\s*(?:and\s+)?(?:it|that|this)(?:\s+(?:is|was)|['\u2019]s)\s*",
    re.IGNORECASE,
)
_CONTRAST = re.compile(
    r"[\s*%)\]$\"']*(?:(?!(?:is|was|are|it|be|equals|and|but)\b)[^\W\d_]+)?[\s*$]*[,;.(\u2014\u2013-]?"
    r"\s*(?:and\b|but\b)?\s*(?:\w{4,12}ly\b)?[\s*$]*"
)


def is_denied(text: str, start: int, end: int) -> bool:
    """Return whether the number from ``start`` to ``end`` is denied before or behind it."""
    if _denial_before(text, start) is not None or _matches(_AFTER, text, end):
        return True
    said = _OTHERS_SAY.search(text, max(0, start - _REACH), start)
    return said is not None and _matches(_THEY_ERR, text, end)


def is_word_denied(text: str, start: int, end: int) -> bool:
    """Return whether a verdict, grade or label from ``start`` to ``end`` is itself denied.

    ``Negative. That is wrong.`` and ``2 (incorrect)`` speak of what was judged, not of the verdict.
    """
    return _denial_before(text, start) is not None or _matches(_DIRECTLY_AFTER, text, end)


def is_contrast(text: str, first: tuple[int, int], start: int) -> bool:
    """Return whether a number at ``first`` is held against a denied one at ``start``.

    ``57, not 56``, ``57 apples instead of 56`` and ``It is 57. It's not 56.`` say 57.
    """
    begin, end = first
    denial = _denial_before(text, start)
    if denial is None:
        return False
    if _CONTRAST.fullmatch(text, end, max(end, denial)):
        return True
    stated = _STATED.search(text, max(0, begin - _REACH), begin)
    return stated is not None and _NEXT.fullmatch(text, end, max(end, denial)) is not None


def _matches(pattern: re.Pattern[str], text: str, end: int) -> bool:
    return pattern.match(text, end, min(len(text), end + _REACH)) is not None


def _denial_before(text: str, start: int) -> int | None:
    """Return where the denial begins that ends at ``start``; None where there is none."""
    first = max(0, start - _REACH)
    found = _BEFORE.search(text, first, start)
    return found.start() if found else None
