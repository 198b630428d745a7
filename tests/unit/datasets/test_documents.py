"""Documents of files, folders and the hub's tables, and the tasks that ask about them."""

import json
from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.tasks.base import TASKS


def write(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def reviews(count: int, word: str):
    return [{"text": f"{word} number {i}: <br />fine", "label": i % 2} for i in range(count)]


def ids(task, split):
    return {sample.id for sample in task.samples(split)}


def test_a_folder_keeps_its_test_set_and_what_stands_twice_is_in_test_alone(tmp_path) -> None:
    write(tmp_path / "train_20.jsonl", [*reviews(20, "film"), *reviews(2, "movie")])
    write(tmp_path / "test.jsonl", reviews(6, "movie"))
    task = TASKS.build("imdb", {"source": str(tmp_path)})
    fit, select, test = (ids(task, split) for split in ("fit", "select", "test"))
    assert (len(test), len(fit) + len(select)) == (6, 20)
    assert not fit & select and not test & (fit | select)
    assert len(fit) in (13, 14), "fit and select share the rest, 2 to 1"
    assert task.notes() == (f"2 repeated reviews of {str(tmp_path)!r} left out",)
    assert {s.target for s in task.samples("test")} == {"negative", "positive"}
    assert "<br" not in task.samples("test")[0].messages[0].content


def test_a_validation_set_is_the_select_split(tmp_path) -> None:
    for name, count in {"train": 5, "validation": 3, "test": 4}.items():
        rows = [
            {"article": f"{name} {i} happened.", "highlights": f"{name} ."} for i in range(count)
        ]
        write(tmp_path / f"{name}.jsonl", rows)
    task = TASKS.build("cnn_dailymail", {"source": str(tmp_path)})
    assert [len(task.samples(s)) for s in ("fit", "select", "test")] == [5, 3, 4]
    assert task.samples("fit")[0].target == "train."


def test_how_much_is_shown_is_in_the_protocol_and_in_the_prompt(tmp_path) -> None:
    write(tmp_path / "a.jsonl", [{"review": "wide " * 200, "sentiment": "Positive"}])
    fractions = {"fit": 0, "select": 0, "test": 1}
    lengths = {}
    for count in (300, 50, None):
        config = {"source": str(tmp_path / "a.jsonl"), "characters": count, "fractions": fractions}
        task = TASKS.build("imdb", config)
        lengths[task.protocol] = task.samples("test")[0].messages[0].content.count("wide")
    assert lengths == {
        "imdb/generation/chat/first-300": 60,
        "imdb/generation/chat/first-50": 10,
        "imdb/generation/chat/whole": 200,
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "label": 2}], "label 2"),
        ([{"text": "a"}], "label None"),
        ([{"label": 1}], "'text', 'review'"),
        ([], "is empty"),
    ],
)
def test_rows_that_say_nothing_are_refused(tmp_path, rows, message) -> None:
    write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=message):
        TASKS.build("imdb", {"source": str(tmp_path / "a.jsonl")}).samples("test")


def test_folders_without_a_set_or_with_two_of_one_are_refused(tmp_path) -> None:
    task = {"source": str(tmp_path)}
    with pytest.raises(DataError, match="holds no file"):
        TASKS.build("imdb", task).samples("test")
    for name in ("test_1.jsonl", "test_2.jsonl"):
        write(tmp_path / name, reviews(2, name))
    with pytest.raises(DataError, match="several files of the set 'test'"):
        TASKS.build("imdb", task).samples("test")
    (tmp_path / "test_2.jsonl").unlink()
    with pytest.raises(ConfigError, match="'fit' is empty"):
        TASKS.build("imdb", task).samples("fit")
    with pytest.raises(DataError, match="neither a folder"):
        TASKS.build("imdb", {"source": "no such thing"}).samples("test")


@pytest.mark.parametrize(("name", "count"), [("imdb", 1000), ("cnn_dailymail", 500)])
def test_the_published_files_are_read_as_they_are(name, count, shared_data: Path) -> None:
    task = TASKS.build(name, {"source": str(shared_data / name)})
    assert len(task.samples("test")) in range(count - 5, count + 1)
    assert task.samples("fit") and task.samples("select")
