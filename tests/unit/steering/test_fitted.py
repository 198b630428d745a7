"""What a fit is given: inputs by the names they were declared under, a model only if asked for."""

import pytest

from trimtab.core.types import Conversation, Message, Sample
from trimtab.steering.fitted import FitContext, FitData, ModelAccess, of_engine


def sample(name: str) -> Sample:
    return Sample(id=name, messages=(Message(role="user", content=f"{name}?"),))


def test_pairs_of_both_splits_are_found_by_the_names_that_needs_give(
    tiny_engine, make_pairs, tmp_path
) -> None:
    pairs, select = make_pairs(6), make_pairs(4, start=100)
    context = FitContext.of_pairs(tiny_engine, pairs, "plain", 7, select=select, folder=tmp_path)
    assert (context.pairs, context.select) == (pairs, select)
    assert (context.rendering, context.seed, context.folder) == ("plain", 7, tmp_path)
    assert {name: part.split for name, part in context.data.items()} == {
        "pairs": "fit",
        "select_pairs": "select",
    }
    assert context.engine is tiny_engine and context.model is not None
    assert context.model.identity == tiny_engine.identity
    assert context.prompts == [] and context.completions == {}


def test_a_fit_without_select_pairs_or_without_pairs_gets_none(tiny_engine, make_pairs) -> None:
    alone = FitContext.of_pairs(tiny_engine, make_pairs(4), "chat", 0)
    assert alone.select == [] and "select_pairs" not in alone.data
    assert FitContext(of_engine(tiny_engine), 0).pairs == []


def test_prompts_are_those_of_labelled_inputs_and_say_which_hold() -> None:
    data = {
        "holds_fit": FitData([sample("a"), sample("b")], "fit", "plain", "holds"),
        "fails_select": FitData([sample("c")], "select", "verbatim", "fails"),
        "others": FitData([sample("d")], "fit", "chat"),
    }
    context = FitContext(None, 0, data)
    found = [(p.sample.id, p.rendering, p.split, p.holds) for p in context.prompts]
    assert found == [
        ("a", "plain", "fit", True),
        ("b", "plain", "fit", True),
        ("c", "verbatim", "select", False),
    ]


def test_rows_are_told_apart_by_what_they_are(make_pairs) -> None:
    pairs, asked = make_pairs(2), [sample("a")]
    talk = Conversation(id="t", messages=(Message(role="user", content="Hi."),))
    mixed = FitData([*pairs, *asked, talk], "fit")
    assert mixed.pairs == pairs and mixed.samples == asked


def test_a_model_is_loaded_when_it_is_first_asked_for(tiny_engine) -> None:
    calls: list[str] = []

    def engine():
        calls.append("engine")
        return tiny_engine

    context = FitContext(ModelAccess("m", engine), 0)
    assert context.pairs == [] and calls == []
    assert context.engine is tiny_engine and calls == ["engine"]
    with pytest.raises(AssertionError, match="planned without a model"):
        FitContext(None, 0).engine  # noqa: B018
