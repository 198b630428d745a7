"""Keys that are read alone are those of the rows that are read whole, damage included."""

import os

import pytest

from trimtab.core.checksums import with_checksum
from trimtab.core.presence import read_keys
from trimtab.core.records import read_segments
from trimtab.core.types import Completion


def row(sample: str, *, cell: str = "c", index: int = 0, text: str = "x") -> str:
    made = Completion(
        cell=cell,
        sample_id=sample,
        index=index,
        protocol="p",
        num_prompt_tokens=1,
        text=text,
        finish_reason="eos",
    )
    return made.model_dump_json() + "\n"


def summed(sample: str, **given) -> str:
    return with_checksum(row(sample, **given).encode()).decode()


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [""],
        [
            row("a") + row("b", text="line\nfeed, {brace} and \\ \u2028"),
            row("a") + row("b", index=2),
        ],
        [row("a") + row("b")[:-9]],
        [row("a") + row("b")[:-1]],
        [row("a")[:-9] + "\n" + row("b")],
        [row("a") + "[1]\nnull\n\n{\n" + row("b"), row("d")],
        [row("a") + "\x00\x00\x00\n" + row("b")],
        [summed("a") + summed("b")],
        [summed("a") + summed("b").replace('"x"', '"y"')],
        [summed("a").replace('"crc"', '"cry"') + summed("b")],
        [summed("a") + row("b")],
        [summed("a") + summed("b")[:-1]],
        [summed("a") + "\n" + summed("b")],
        [summed("a", text='x","attempt":0,"time":0.0,"crc":"00000000"}') + summed('"\\')],
        [summed("\u2028\u00e9", index=7) + summed("\U0001f600")],
    ],
)
def test_keys_are_those_of_the_rows(tmp_path, segments: list[str]) -> None:
    for number, text in enumerate(segments):
        (tmp_path / f"a{number}.jsonl").write_bytes(text.encode())
    read = read_segments(tmp_path, Completion)
    found = read_keys(tmp_path, "c")
    assert found.keys == {one.key for one in read.rows}
    assert (found.torn, found.invalid) == (tuple(read.torn), tuple(read.invalid))


def test_rows_of_another_cell_are_not_there(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text(row("a") + row("b", cell="other"))
    assert read_keys(tmp_path, "c").keys == {("c", "a", 0)}


def test_files_that_grew_are_read_on_from_where_they_ended(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text(summed("a") + row("b"))
    (tmp_path / "b.jsonl").write_text("")
    before = read_keys(tmp_path, "c")
    for name, text in (("a", summed("d")), ("b", row("e", index=1)), ("c", row("f"))):
        with (tmp_path / f"{name}.jsonl").open("a") as file:
            file.write(text)
    # what was read is not read again
    with (tmp_path / "a.jsonl").open("r+") as file:
        os.pwrite(file.fileno(), b"?", 0)
    grown = read_keys(tmp_path, "c", since=before)
    assert {key[1:] for key in grown.keys} == {("a", 0), ("b", 0), ("d", 0), ("e", 1), ("f", 0)}
    assert grown.invalid == () != read_keys(tmp_path, "c").invalid
    with (tmp_path / "c.jsonl").open("a") as file:
        file.write(row("g")[:-5])
    torn = read_keys(tmp_path, "c", since=grown)
    assert torn.keys == grown.keys and len(torn.torn) == 1 and "c.jsonl" not in torn.ends
