"""Checksums of the rows of segments: a field ``crc`` at the end of each line.

It covers everything in a row but ``attempt`` and ``time``, so equal rows have equal checksums.
"""

from __future__ import annotations

import json
import re
import zlib

from trimtab.core.errors import NonFiniteError
from trimtab.core.files import dumps

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_FORM = b',"crc":"########"}'
_HEAD, _TAIL = b',"crc":"', b'"}'
_DIGIT = ord("#")
_SIZE = len(_FORM)
_MOST_WRONG = 3
# One more piece than may be wrong: in a checksum of which some bytes changed one of them is whole.
_PIECES = (slice(0, 3), slice(3, 6), slice(6, 8), slice(16, 18))
_PASSING = (b',"attempt":', b',"time":')


class ChangedError(Exception):
    """A line does not fit its checksum."""


def with_checksum(line: bytes) -> bytes:
    """Return a line of JSON with the checksum of what it says as its last field."""
    return line[:-2] + b',"crc":"%08x"}\n' % _checksum(line[:-2])


def _checksum(body: bytes) -> int:
    """Return the checksum of a line without its closing brace, and without when it was written."""
    attempt, time = (body.rfind(field) for field in _PASSING)
    return zlib.crc32(body[:attempt] if 0 < attempt < time else body)


def has_checksums(data: bytes) -> bool:
    """Return whether some line of a segment has a checksum."""
    return _CHECKSUM.search(data) is not None


def checked(line: bytes) -> bytes:
    """Return a line without its checksum, if it has one; raise if they don't fit."""
    body, end = line[:-_SIZE], line[-_SIZE:]
    if end[: len(_HEAD)] == _HEAD and end[-2:] == _TAIL:
        if b"%08x" % _checksum(body) != end[len(_HEAD) : -2]:
            raise ChangedError
        return body + b"}"
    if _is_near(end):
        raise ChangedError
    return _rewritten(line) if b'"crc"' in line else line


def _is_near(end: bytes) -> bool:
    """Return whether the end of a line was a checksum before some bytes of it changed."""
    if len(end) < _SIZE or all(end[piece] != _FORM[piece] for piece in _PIECES):
        return False
    wrong = sum(a != b for a, b in zip(end, _FORM, strict=True) if b != _DIGIT)
    wrong += sum(
        a not in b"0123456789abcdef" for a, b in zip(end, _FORM, strict=True) if b == _DIGIT
    )
    return wrong <= _MOST_WRONG


def _rewritten(line: bytes) -> bytes:
    """Return what a line says that some other program has written with other spaces or order."""
    try:
        value = json.loads(line)
        said = value.pop("crc", None)
        body = dumps(value, "", separators=(",", ":"))
    except (ValueError, AttributeError, RecursionError, NonFiniteError):
        return line
    if said is not None and said != f"{_checksum(body[:-2]):08x}":
        raise ChangedError
    return body
