"""Sets of rows are kept once, by their content, and found again by what names them."""

from trimtab.core.plan import DataRef
from trimtab.core.spec import Spec, Split
from trimtab.core.types import ContrastPair, Conversation, Message, Sample
from trimtab.runs.plan.data import PlanData
from trimtab.tasks.base import Task

ASKED = (Message(role="user", content="Why?"),)


class Counting(Task[Spec]):
    """A task that notes what it is asked for."""

    Config = Spec
    protocol = "counting"

    def __init__(self, config: Spec) -> None:
        super().__init__(config)
        self.asked: list[Split] = []

    def samples(self, split: Split) -> list[Sample]:
        self.asked.append(split)
        return [Sample(id=split, messages=ASKED)]


def test_equal_sets_share_a_key_and_each_kind_is_found_in_its_folder() -> None:
    data = PlanData()
    samples = [Sample(id=i, messages=ASKED) for i in "ba"]
    pairs = [ContrastPair(id="p", question_id="a", messages=ASKED, positive="+", negative="-")]
    talks = [Conversation(id="c", messages=ASKED)]
    key = data.add_samples(samples)
    assert data.add_samples([row.model_copy() for row in samples]) == key
    assert data.add_samples(samples[::-1]) != key, "the order of rows is part of what is measured"
    keys = {
        "samples": key,
        "prompts": key,
        "pairs": data.add_pairs(pairs),
        "conversations": data.add_conversations(talks),
    }
    expected = {"samples": samples, "prompts": samples, "pairs": pairs, "conversations": talks}
    for kind, rows in expected.items():
        ref = DataRef.model_validate({"kind": kind, "key": keys[kind], "split": "fit"})
        assert data.rows(ref) == rows
    folders = data.folders()
    assert {name: len(sets) for name, sets in folders.items()} == {
        "samples": 2,
        "pairs": 1,
        "conversations": 1,
    }
    assert folders["samples"][key] == samples


def test_a_task_is_asked_once_for_each_kind_and_split() -> None:
    task = Counting(Counting.Config())
    data = PlanData()
    keys = [data.ask("prompts", task, split) for split in ("test", "fit", "test", "test")]
    assert task.asked == ["test", "fit"]
    assert keys[0] == keys[2] == keys[3] != keys[1]
    other = Counting(Counting.Config())
    assert data.ask("prompts", other, "test") == keys[0]
    assert other.asked == ["test"], "another task is not taken for this one"
