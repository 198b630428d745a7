"""A row that changed after it was written is found, whatever wrote its line anew is not held."""

import json

import pytest

from trimtab.core.checksums import ChangedError, checked, with_checksum
from trimtab.core.types import Score

ROW = Score(
    cell="c", sample_id="é\u2028,\"attempt\":5", judge="j", values={"attempt": 0.5, "time": None},
    reason='","time":1', attempt=1, time=2.5,
)  # fmt: skip
BARE = ROW.model_dump_json().encode()
LINE = with_checksum(BARE + b"\n")[:-1]


def test_a_line_gives_back_what_was_written() -> None:
    assert checked(LINE) == BARE
    assert checked(BARE) == BARE


def test_equal_rows_have_equal_checksums_whenever_they_were_written() -> None:
    later = ROW.model_copy(update={"attempt": 7, "time": 1e9}).model_dump_json().encode()
    assert with_checksum(later + b"\n")[-12:] == LINE[-11:] + b"\n"
    other = ROW.model_copy(update={"values": {"attempt": 0.25, "time": None}})
    assert with_checksum(other.model_dump_json().encode() + b"\n")[-12:] != LINE[-11:] + b"\n"


def test_every_byte_counts() -> None:
    passing = LINE.rindex(b',"attempt":'), LINE.rindex(b',"crc"')
    for at in range(len(LINE)):
        line = LINE[:at] + bytes([LINE[at] ^ 1]) + LINE[at + 1 :]
        if passing[0] <= at < passing[1]:
            continue
        with pytest.raises(ChangedError):
            checked(line)


def test_other_spaces_are_no_change() -> None:
    spaced = json.dumps(json.loads(LINE), ensure_ascii=False).encode()
    assert json.loads(checked(spaced)) == json.loads(BARE)
    with pytest.raises(ChangedError):
        checked(spaced.replace(b"0.5", b"0.6"))
