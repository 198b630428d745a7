import hashlib
import json
import subprocess
import sys

import pytest

from trimtab.core.config import validate
from trimtab.core.errors import ConfigError, DataError
from trimtab.tasks.base import TASKS

ALL_TEST = {"fit": 0, "select": 0, "test": 1}

# SHA-256 of the prompt for "QQ?" that truthfulqa_mc1.yaml of lm-eval 0.4.13 renders.
LM_EVAL_PROMPT = "b20c88ea5fa9b69dd5aa5d9d2eeb9819c46b20b4907cfaf8ef27e1ca05ec41f4"


def task(**config):
    return TASKS.build("truthfulqa", config)


def test_generation():
    built = task(limit=6)
    samples = built.samples("test")
    assert (built.output, built.measure, built.rendering) == ("text", "generation", "chat")
    assert built.protocol == "truthfulqa/generation/chat"
    assert len(samples) == 6
    assert len({sample.cluster for sample in samples}) == 6
    assert [sample.id for sample in samples] == sorted(sample.id for sample in samples)
    first = samples[0]
    assert first.messages[-1].content == first.metadata["question"]
    assert first.target in first.metadata["correct_answers"]
    assert first.metadata["incorrect_answers"]
    assert first.preamble == ""
    assert built.sampling().max_tokens == 50
    assert built.sampling().temperature == 0
    assert built.sampling().stop == ()


def test_plain_generation_stops_as_published():
    assert task(rendering="plain").sampling().stop == ("\n\n", "Q:")
    assert task(form="options").sampling() is None


def test_all_forms_agree_on_the_split():
    chosen = [
        {str(s.metadata["question"]) for s in task(form=form, limit=10).samples("select")}
        for form in ("generation", "options", "two_option")
    ]
    assert chosen[0] == chosen[1] == chosen[2]
    pairs = task(limit=10).pairs("select")
    assert {pair.messages[0].content for pair in pairs} == chosen[0]


def test_bundled_split_is_stable():
    """Published numbers on the bundled questions depend on these ids."""
    ids = {split: [s.id for s in task().samples(split)] for split in ("fit", "select", "test")}
    assert {split: len(found) for split, found in ids.items()} == {
        "fit": 48,
        "select": 24,
        "test": 48,
    }
    assert {split: found[:5] for split, found in ids.items()} == {
        "fit": ["m001", "m004", "m009", "m010", "m015"],
        "select": ["m008", "m011", "m012", "m016", "m022"],
        "test": ["m002", "m003", "m005", "m006", "m007"],
    }


@pytest.mark.parametrize("version", ["", "v1"])
def test_options_hold_the_published_sets(published, version):
    source = str(published / version)
    built = task(source=source, form="options", rendering="plain", preset="qa", fractions=ALL_TEST)
    assert built.protocol == "truthfulqa/options/plain+qa"
    raw = {r["question"]: r for r in json.loads((published / version / "mc_task.json").read_text())}
    samples = built.samples("test")
    assert len(samples) == len(raw)
    for sample in samples:
        row = raw[sample.metadata["question"]]
        for name, key in (
            ("mc1", "mc1_targets"),
            ("mc2", "mc2_targets"),
            ("binary", "mc0_targets"),
        ):
            got = {c.text: c.correct for c in sample.choices if name in c.sets}
            assert got == {t: bool(v) for t, v in row.get(key, {}).items() if t}
        texts = [choice.text for choice in sample.choices]
        assert len(set(texts)) == len(texts)
        best = [t for t, v in row["mc1_targets"].items() if v]
        assert [c.text for c in sample.choices if c.reference] == best


def test_option_order_carries_no_information(published):
    samples = task(source=str(published / "v1"), form="options", fractions=ALL_TEST).samples("test")
    firsts = sum(sample.choices[0].correct for sample in samples)
    expected = sum(sum(c.correct for c in s.choices) / len(s.choices) for s in samples)
    assert abs(firsts - expected) < 3 * 817**0.5 / 2
    best_first = sum(sample.choices[0].reference for sample in samples)
    assert best_first < 817 * 0.25


def test_labels_follow_their_texts_where_a_false_option_precedes_true_ones(published):
    """Two published questions break the rule that true options come first; ports got them wrong."""
    raw = json.loads((published / "v1" / "mc_task.json").read_text())
    broken = [
        row
        for row in raw
        if list(row["mc2_targets"].values()) != sorted(row["mc2_targets"].values(), reverse=True)
    ]
    assert len(broken) == 2
    built = task(source=str(published / "v1"), form="options", fractions=ALL_TEST)
    by_question = {sample.metadata["question"]: sample for sample in built.samples("test")}
    for row in broken:
        choices = by_question[row["question"]].choices
        assert [c.correct for c in choices if c.text == "Unknown."] == [False]


@pytest.mark.parametrize("form", ["generation", "options"])
def test_questions_without_a_category_are_clusters_of_their_own(write_jsonl, form):
    rows = [
        {
            "question": f"Is {k} a number?",
            "best_answer": "Yes",
            "correct_answers": ["Yes"],
            "incorrect_answers": ["No"],
            **({"category": "sums"} if k < 2 else {}),
        }
        for k in range(6)
    ]
    samples = task(source=str(write_jsonl(*rows)), form=form, fractions=ALL_TEST).samples("test")
    assert sorted(s.cluster or s.id for s in samples if s.cluster) == ["sums", "sums"]
    assert len({s.cluster or s.id for s in samples}) == 5


def test_the_order_of_options_in_the_file_does_not_matter(write_jsonl):
    row = {
        "question": "Is the moon cheese?",
        "best_answer": "No",
        "correct_answers": ["No", "It is rock"],
        "incorrect_answers": ["Yes", "Partly"],
    }
    turned = {
        **row,
        "correct_answers": ["It is rock", "No"],
        "incorrect_answers": ["Partly", "Yes"],
    }
    orders = [
        task(source=str(write_jsonl(r)), form="options", fractions=ALL_TEST).samples("test")[0]
        for r in (row, turned)
    ]
    texts = [[choice.text for choice in sample.choices] for sample in orders]
    assert texts[0] == texts[1]


def test_two_options_are_asked_in_both_orders():
    built = task(form="two_option", limit=5)
    samples = built.samples("test")
    assert built.output == "options"
    assert len(samples) == 10
    for ab, ba in zip(samples[::2], samples[1::2], strict=True):
        assert ab.id.removesuffix("#ab") == ba.id.removesuffix("#ba") == ab.cluster == ba.cluster
        assert (ab.target, ba.target) == ("A", "B")
        for sample in (ab, ba):
            assert [choice.text for choice in sample.choices] == ["A", "B"]
            right = next(choice.text for choice in sample.choices if choice.correct)
            assert right == sample.target
        a, b = ab.messages[0].content.split("\n")[1:3]
        swapped_a, swapped_b = ba.messages[0].content.split("\n")[1:3]
        assert (a[4:], b[4:]) == (swapped_b[4:], swapped_a[4:])


def test_two_options_without_a_best_incorrect_answer(published):
    built = task(source=str(published / "v1"), form="two_option")
    with pytest.raises(DataError, match="names no best incorrect answer"):
        built.samples("test")
    assert "names no best incorrect answer" in built.missing()
    assert task(source=str(published / "v1")).missing() is None


def test_pairs_start_with_the_best_and_are_limited():
    built = task(max_pairs_per_question=2)
    pairs = built.pairs("fit")
    by_id = {sample.id: sample for sample in built.samples("fit")}
    assert {pair.question_id for pair in pairs} == set(by_id)
    assert len(pairs) == 2 * len(by_id)
    assert len({pair.id for pair in pairs}) == len(pairs)
    for pair in pairs:
        sample = by_id[pair.question_id]
        assert pair.messages == sample.messages
        assert pair.positive in sample.metadata["correct_answers"]
        assert pair.negative in sample.metadata["incorrect_answers"]
        assert not pair.id.endswith("#0") or pair.positive == sample.target


def test_the_primer_is_lm_evals():
    built = task(form="options", rendering="plain", preset="qa", limit=1)
    (sample,) = built.samples("test")
    prompt = f"{sample.preamble}Q: QQ?\nA:"
    assert hashlib.sha256(prompt.encode()).hexdigest() == LM_EVAL_PROMPT


def test_the_primer_needs_plain_rendering_and_skips_letters():
    with pytest.raises(ConfigError, match=r"preset = 'qa': .* needs `rendering: plain`"):
        task(preset="qa")
    built = task(form="two_option", rendering="plain", preset="qa", limit=1)
    assert built.protocol == "truthfulqa/two_option/plain"
    assert built.samples("test")[0].preamble == ""


def test_an_empty_split_is_refused():
    with pytest.raises(ConfigError, match=r"'fit' .* is empty \(`task\.fractions\.fit` is 0\)"):
        task(fractions=ALL_TEST).pairs("fit")


def test_wrong_fractions_are_explained():
    config = TASKS.load("truthfulqa").Config
    with pytest.raises(ConfigError, match=r"fractions .*must be 1, they are 1\.6"):
        validate(config, {"fractions": {"test": 1}}, "task 'truthfulqa'")


def test_planning_imports_no_heavy_library():
    code = (
        "import sys; from trimtab.tasks.base import TASKS\n"
        "TASKS.build('truthfulqa', {'form': 'options'}).samples('test')\n"
        "TASKS.build('heldout', {}).samples('test')\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
