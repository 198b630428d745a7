"""Rows survive what happens to disks and processes, and what does not survive is reported."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.errors import HeldError, NonFiniteError, StoreError
from trimtab.core.records import (
    SegmentWriter,
    read_json,
    read_rows,
    read_segments,
    write_json,
    write_rows,
)
from trimtab.core.types import Completion, Sample, Score

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

PREAMBLE = """
import os, resource, sys
from pathlib import Path
from trimtab.core.errors import StoreError
from trimtab.core.records import SegmentWriter, read_json, write_json
from trimtab.core.types import Score
path = Path(sys.argv[1])
def row(i):
    values = {"x": i + 0.5}
    return Score(cell="c", sample_id=f"s{i:06d}", judge="j", values=values, reason="y" * 300)
"""


def score(i: int, **changes: object) -> Score:
    fields = {"cell": "c", "sample_id": f"s{i:06d}", "judge": "j", "values": {"x": i / 3}}
    return Score.model_validate({**fields, **changes})


def write(path: Path, *rows: Score) -> bytes:
    with SegmentWriter(path) as writer:
        writer.append(rows)
    return path.read_bytes()


def start(code: str, path: Path) -> subprocess.Popen[str]:
    program = PREAMBLE + textwrap.dedent(code)
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True)


def kill_after_first_line(process: subprocess.Popen[str], seconds: float) -> list[str]:
    """Kill a process some time after it began to print; return the whole lines it printed."""
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    return [line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]


def test_rows_come_back_sorted_and_first_wins_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path / "a0002-00.jsonl", score(1, reason="late"), score(0, attempt=2))
    write(tmp_path / "a0001-ff.jsonl", score(3), score(1, reason="early"), score(1, time=9.0))
    result = read_segments(tmp_path, Score)
    assert [row.sample_id for row in result.rows] == ["s000000", "s000001", "s000003"]
    assert result.rows[1].reason == "early"
    assert result.duplicates == 2
    assert len(result.conflicts) == 2  # in the same file, and in the later one
    assert result.torn == [] == result.invalid


def test_duplicates_that_differ_only_in_attempt_and_time_are_no_conflict(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", score(1, attempt=1, time=1.0))
    write(tmp_path / "b.jsonl", score(1, attempt=2, time=2.0))
    result = read_segments(tmp_path, Score)
    assert (result.duplicates, result.conflicts) == (1, [])
    assert read_segments(tmp_path / "absent", Score).rows == []


@given(reason=st.text(), value=st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_float_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, reason: str, value: float | None
) -> None:
    path = tmp_path_factory.mktemp("segment") / "a.jsonl"
    row = score(1, reason=reason, values={"x": value})
    write(path, row)
    assert read_segments(path.parent, Score).rows == [row]


def test_half_a_surrogate_pair_does_not_lose_the_row(tmp_path: Path) -> None:
    row = score(1).model_copy(update={"reason": "a\ud800b\ud83d\ude00"})
    write(tmp_path / "a.jsonl", row)
    assert read_segments(tmp_path, Score).rows[0].reason == "a\ufffdb\U0001f600"


@pytest.mark.parametrize("end", ["unfinished", "no newline", "zeros", "garbage"])
def test_a_torn_last_line_is_dropped_and_reported(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.jsonl"
    data = write(path, score(0), score(1))
    first = data.index(b"\n") + 1
    torn = {
        "unfinished": data[: first + 20],
        "no newline": data[:-1],
        "zeros": data[:first] + bytes(50),
        "garbage": data[:first] + b'{"cell":"c","sam\n',
    }[end]
    path.write_bytes(torn)
    result = read_segments(tmp_path, Score)
    assert result.rows == [score(0)]
    assert len(result.torn) == 1
    assert result.torn[0].startswith(f"{path}:2: ")
    assert result.invalid == []


@pytest.mark.parametrize("damage", ["cut", "zeros", "blank", "not utf-8"])
def test_damage_in_the_middle_costs_its_lines_and_is_reported(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.jsonl"
    lines = write(path, *map(score, range(5))).splitlines(keepends=True)
    lines[2] = {
        "cut": lines[2][:30],  # runs into line 4, which is lost with it
        "zeros": bytes(len(lines[2]) - 1) + b"\n",
        "blank": b"\n",
        "not utf-8": lines[2].replace(b"s000002", b"s\xff\xfe"),
    }[damage]
    path.write_bytes(b"".join(lines))
    result = read_segments(tmp_path, Score)
    lost = {2, 3} if damage == "cut" else {2}
    assert result.rows == [score(i) for i in range(5) if i not in lost]
    assert len(result.invalid) == 1
    assert result.invalid[0].startswith(f"{path}:3: ")
    assert result.torn == []


def test_every_cut_of_a_segment_keeps_the_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    data = write(path, *map(score, range(3)))
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        result = read_segments(tmp_path, Score)
        assert result.rows == [score(i) for i in range(data[:size].count(b"\n"))]
        assert len(result.torn) == (not data[:size].endswith(b"\n") and size > 0)


@pytest.mark.parametrize("row", ['{"colour": 1, %s}', '{"cell": "c"}', '{%s, "cell": 5}'])
def test_a_row_of_another_version_is_an_error_that_names_it(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.jsonl"
    rest = score(1).model_dump_json().strip("{}")
    path.write_text(write(tmp_path / "b.jsonl", score(0)).decode() + row.replace("%s", rest) + "\n")
    with pytest.raises(StoreError, match=r"a\.jsonl:2 does not fit .* of trimtab .*version"):
        read_segments(tmp_path, Score)


def test_a_segment_has_one_writer_and_is_made_by_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.jsonl"
    with SegmentWriter(path) as writer:
        writer.append([])
        assert not path.exists()
        writer.append([score(1)])
    with pytest.raises(StoreError, match="one writer"):
        SegmentWriter(path).append([score(2)])
    assert read_segments(path.parent, Score).rows == [score(1)]


def test_non_finite_numbers_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    fields = {"cell": "c", "sample_id": "s", "protocol": "p", "num_prompt_tokens": 1}
    good = Completion(**fields, finish_reason="eos")
    bad = Completion(**fields, finish_reason="options", option_logprobs=(-1.0, float("-inf")))
    with pytest.raises(NonFiniteError, match=r"\('c', 's', 0\).*option_logprobs\.1"):
        SegmentWriter(tmp_path / "a.jsonl").append([good, bad])
    with pytest.raises(NonFiniteError, match=r"rates\.0\.low"):
        write_json(tmp_path / "a.json", {"rates": [{"low": float("nan")}]})
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_its_fence_stops_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"

    def lost() -> None:
        raise HeldError("lost")

    with SegmentWriter(path) as writer:
        with pytest.raises(HeldError):
            writer.append([score(0)], lost)
        assert not path.exists()
        writer.append([score(0)], lambda: None)
        before = path.read_bytes()
        with pytest.raises(HeldError):
            writer.append([score(1)], lost)
        assert path.read_bytes() == before


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: whole(fd, bytes(data[:7])))
        data = write(tmp_path / "a.jsonl", score(0), score(1))
        write_json(tmp_path / "b.json", list(range(100)))
    assert data.count(b"\n") == 2
    assert read_segments(tmp_path, Score).rows == [score(0), score(1)]
    assert read_json(tmp_path / "b.json") == list(range(100))


def test_a_length_that_can_not_be_asked_cuts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, right, asked = tmp_path / "a.jsonl", os.fstat, []

    def fails_once(fd: int) -> os.stat_result:
        asked.append(fd)
        if len(asked) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return right(fd)

    with SegmentWriter(path) as writer:
        writer.append([score(1), score(2)])
        whole = path.read_bytes()
        monkeypatch.setattr(os, "fstat", fails_once)
        with pytest.raises(StoreError, match="Input/output error"):
            writer.append([score(3)])
    assert asked and path.read_bytes() == whole


def test_a_real_write_error_keeps_whole_lines_and_says_what_to_do(tmp_path: Path) -> None:
    # A limit on file size makes the kernel write a part, then refuse: as a full disk does.
    code = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        writer = SegmentWriter(path)
        writer.append([row(0)])
        try:
            writer.append([row(i) for i in range(1, 10)])
        except StoreError as error:
            print(error)
        try:
            write_json(path.with_name("j.json"), ["z" * 5000])
        except StoreError as error:
            print(error)
    """
    path = tmp_path / "a.jsonl"
    write_json(tmp_path / "j.json", "old")
    process = start(code, path)
    output, _ = process.communicate(timeout=60)
    messages = output.splitlines()
    data = path.read_bytes()
    assert process.returncode == 0
    assert data.endswith(b"\n")
    line = len(data) // data.count(b"\n")
    assert 2000 - line < len(data) <= 2000
    result = read_segments(tmp_path, Score)
    assert len(result.rows) == data.count(b"\n") > 1
    assert result.torn == [] == result.invalid
    assert str(path) in messages[0]
    assert f" {10 * line - len(data)} more bytes" in messages[0]
    assert "Free space" in messages[0]
    assert "resume" in messages[0]
    assert "5008 more bytes" in messages[1]
    assert read_json(tmp_path / "j.json") == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "j.json"]


def test_killed_writers_lose_no_row_that_was_acknowledged(tmp_path: Path) -> None:
    code = """
        start = int(path.stem[1:]) * 100_000
        with SegmentWriter(path) as writer:
            for i in range(start, start + 100_000):
                writer.append([row(i)])
                print(i, flush=True)
    """
    delays = random.Random(0)
    acknowledged: set[str] = set()
    for attempt in range(6):
        process = start(code, tmp_path / f"a{attempt}.jsonl")
        lines = kill_after_first_line(process, delays.uniform(0, 0.1))
        acknowledged |= {f"s{int(line):06d}" for line in lines}
    result = read_segments(tmp_path, Score)
    found = {row.sample_id for row in result.rows}
    assert acknowledged <= found
    assert len(found) <= len(acknowledged) + 6  # written, but killed before saying so
    assert result.invalid == []
    assert result.duplicates == 0


def test_json_is_old_or_new_when_its_writer_is_killed(tmp_path: Path) -> None:
    code = """
        for i in range(100_000):
            write_json(path, {"i": i, "copies": [i] * 20_000})
            print(i, flush=True)
    """
    path = tmp_path / "a.json"
    delays = random.Random(1)
    for _ in range(6):
        last = int(kill_after_first_line(start(code, path), delays.uniform(0, 0.1))[-1])
        value = read_json(path)
        assert value["i"] in (last, last + 1)
        assert value["copies"] == [value["i"]] * 20_000


def test_json_is_canonical_and_damage_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 0.1, "a": [1e-7, "é"], "c": None})
    assert path.read_text() == '{\n "a": [\n  1e-07,\n  "é"\n ],\n "b": 0.1,\n "c": null\n}\n'
    write_json(path, score(1))
    assert read_json(path) == json.loads(score(1).model_dump_json())
    path.write_text('{"a": ')
    with pytest.raises(StoreError, match=r"a\.json is damaged"):
        read_json(path)
    with pytest.raises(StoreError, match="does not exist"):
        read_json(tmp_path / "none.json")


def test_immutable_rows_keep_their_order_and_refuse_damage(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [Sample(id=i, messages=(), metadata={"line": "a\u2028b\x85"}) for i in ("b", "a")]
    write_rows(path, rows)
    assert read_rows(path, Sample) == rows
    data = path.read_bytes()
    for number, broken in ((2, data[:-1]), (1, data[10:]), (2, data[:-10] + b"\n")):
        path.write_bytes(broken)
        with pytest.raises(StoreError, match=rf"rows\.jsonl:{number} is damaged"):
            read_rows(path, Sample)
