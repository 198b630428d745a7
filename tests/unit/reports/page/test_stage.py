"""A report replaces the old one when all of it is there, and is written through no link."""

import errno
from pathlib import Path

import pytest

from trimtab.core.errors import StoreError
from trimtab.core.seals import SUMS, check_file, known_sums
from trimtab.reports.page.stage import staged


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a run with an old report."""
    run = tmp_path / "run"
    (run / "report").mkdir(parents=True)
    for name in ("summary.json", "report/index.html", "report/mine.txt"):
        (run / name).write_text("old")
    return run


def write(run: Path, text: str = "new") -> None:
    with staged(run) as stage:
        assert stage.write("summary.json", text) == run / "summary.json"
        stage.write("report/index.html", text)
        (stage.folder("report/figures") / "a.svg").write_text(text)
        stage.finish()


def left(run: Path) -> dict[str, str]:
    files = [path for path in run.rglob("*") if path.is_file() and path.name != SUMS]
    return {str(path.relative_to(run)): path.read_text() for path in files}


def test_the_new_report_takes_the_place_of_the_old_one(old: Path) -> None:
    write(old)
    assert left(old) == {
        "summary.json": "new",
        "report/index.html": "new",
        "report/figures/a.svg": "new",
        "report/mine.txt": "old",
    }


def test_what_a_report_holds_is_known_and_an_earlier_one_is_not(old: Path) -> None:
    write(old, "first")
    write(old)
    assert {len(sums) for sums in known_sums(old / "report").values()} == {1}
    for name in ("summary.json", "report/index.html", "report/figures/a.svg"):
        check_file(old / name)
        (old / name).write_text("changed")
        with pytest.raises(StoreError, match="not what was written there"):
            check_file(old / name)


def test_a_disk_that_fills_leaves_the_old_report(old: Path) -> None:
    before = left(old)
    said = pytest.raises(StoreError, match=r"report/index\.html can't be written.*Free space")
    with said, staged(old) as stage:
        stage.write("summary.json", "new")
        raise OSError(errno.ENOSPC, "full", str(stage.aside / "report" / "index.html"))
    assert left(old) == before


def test_a_place_that_cant_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written"):
        write(tmp_path / "file")


def test_links_are_replaced_and_never_written_through(old: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("summary.json", "report/index.html"):
        (old / name).unlink()
        (old / name).symlink_to(mine)
    write(old)
    assert mine.read_text() == "mine"
    assert left(old)["summary.json"] == "new" and not (old / "summary.json").is_symlink()


def test_a_folder_that_is_a_link_is_refused(old: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (old / "report" / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"figures is a link"):
        write(old)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert left(old)["report/index.html"] == "old"
