"""Of rows with one key the first that was merged stays, and no score stands under another text."""

from pathlib import Path

from segment_rows import read_files, row, write_files

from trimtab.compute.ssh.copies import merge, sums

LATE, OWN = "completions/c/a1001-aa.jsonl", "completions/c/a2001-bb.jsonl"
SCORES = "scores/j/c/a1002-cc.jsonl"


def test_rows_that_come_late_do_not_replace_those_that_were_scored(tmp_path: Path) -> None:
    scored = {OWN: row("k", "b"), "scores/j/c/a2002-dd.jsonl": row("k", "of b")}
    here = write_files(tmp_path / "here", scored)
    copy = write_files(tmp_path / "copy", {LATE: row("k", "a") + row("l"), SCORES: row("k")})
    assert merge(copy, here, sums(copy)) == 1
    assert read_files(here) == {**scored, LATE: row("l"), SCORES: ""}
    write_files(copy, {LATE: row("k", "a") + row("l") + row("m"), SCORES: row("k") + row("m")})
    assert merge(copy, here, sums(copy)) == 2
    assert read_files(here) == {**scored, LATE: row("l") + row("m"), SCORES: row("m")}
    assert merge(copy, here, sums(copy)) == 0


def test_a_score_of_a_text_that_was_left_out_is_no_score_of_the_one_that_counts(
    tmp_path: Path,
) -> None:
    here = write_files(tmp_path / "here", {OWN: row("k", "b") + row("l", "same")})
    late = {LATE: row("k", "a") + row("l", "same", attempt=1), SCORES: row("k") + row("l")}
    copy = write_files(tmp_path / "copy", late)
    assert merge(copy, here, sums(copy)) == 1
    own = {OWN: row("k", "b") + row("l", "same")}
    assert read_files(here) == {**own, LATE: "", SCORES: row("l")}


def test_a_line_that_is_not_whole_is_taken_when_it_is(tmp_path: Path) -> None:
    here = tmp_path / "here"
    copy = write_files(tmp_path / "copy", {LATE: row("k") + row("l")[:20]})
    merge(copy, here, sums(copy))
    assert (here / LATE).read_text() == row("k")
    write_files(copy, {LATE: row("k") + row("l") + row("m")[:20]})
    merge(copy, here, sums(copy))
    assert (here / LATE).read_text() == row("k") + row("l")
