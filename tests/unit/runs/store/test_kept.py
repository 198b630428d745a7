"""Rows are let go when there are many; what was seen of them stays, and what changed is read."""

import os
from pathlib import Path

from trimtab.core.records import SegmentWriter
from trimtab.core.types import Completion, Score
from trimtab.runs.store.kept import Kept
from trimtab.runs.store.tally import Tally


def completion(cell: str, sample: str, **more: object) -> Completion:
    return Completion.model_validate(
        {"cell": cell, "sample_id": sample, "protocol": "p", "num_prompt_tokens": 1,
         "finish_reason": "eos", **more}
    )  # fmt: skip


def write(folder: Path, name: str, *rows: Completion | Score) -> None:
    with SegmentWriter(folder / f"{name}.jsonl") as writer:
        writer.append(rows)


def ask(kept: Kept, folder: Path) -> dict[tuple[str, str, int], Completion]:
    return kept.rows(folder, Completion, lambda row: row.cell == folder.name)


def test_rows_that_were_let_go_are_read_again(tmp_path: Path) -> None:
    kept = Kept(most_rows=3)
    for cell in ("a", "b", "c"):
        write(tmp_path / cell, "1", completion(cell, "x"), completion(cell, "y", error="no"))
    first = {cell: ask(kept, tmp_path / cell) for cell in ("a", "b", "c")}
    assert ask(kept, tmp_path / "c")["c", "x", 0] is first["c"]["c", "x", 0]
    again = ask(kept, tmp_path / "a")
    assert again == first["a"] and again["a", "x", 0] is not first["a"]["a", "x", 0]
    path = tmp_path / "b" / "1.jsonl"
    state = path.stat()
    path.write_bytes(bytes(state.st_size))  # counts are known without its rows
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    tally = kept.tally(tmp_path / "b", Completion, lambda row: row.cell == "b")
    assert tally == Tally(rows=2, errors=1)


def test_what_is_wrong_and_what_is_new_is_seen(tmp_path: Path) -> None:
    kept, folder = Kept(), tmp_path / "a"
    write(folder, "1", completion("a", "x"), completion("other", "y"))
    assert list(ask(kept, folder)) == [("a", "x", 0)]
    ((found, faults, count),) = kept.faults()
    assert (found, count) == (folder, 1) and "belongs elsewhere" in faults.invalid[0]
    write(folder, "2", completion("a", "z", strengths=((1.0,),)))
    assert kept.tally(folder, Completion, lambda row: row.cell == "a") == Tally(rows=2)
    assert list(ask(kept, folder)) == [("a", "x", 0), ("a", "z", 0)]


def test_scores_are_counted_where_any_value_is_known(tmp_path: Path) -> None:
    values = [{"p": 0.5, "q": None}, {"p": None, "q": None}, {}]
    rows = [
        Score(cell="a", sample_id=str(n), judge="j", values=some) for n, some in enumerate(values)
    ]
    write(tmp_path / "a", "1", *rows)
    assert Kept().tally(tmp_path / "a", Score, lambda row: True) == Tally(rows=3, scored=1)
