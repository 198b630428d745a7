"""The key of a fit holds what the fit reads and how; what can't be fitted is refused early."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.needs import Conversations, Input, Labelled, Need, Pairs, Prompts
from trimtab.core.plan import FitPlan
from trimtab.core.spec import Component, ModelSpec, Spec, Split
from trimtab.core.types import ContrastPair, Conversation, Message, Rendering, Sample
from trimtab.interventions.base import Intervention
from trimtab.models.load import ResolvedModel, resolve
from trimtab.runs.plan.data import PlanData
from trimtab.runs.plan.fits import artifact_keys, plan_fit
from trimtab.steering.fitted import FitData
from trimtab.tasks.base import Task


class _Words(Spec):
    word: str = "a"
    rendering: Rendering = "plain"


class Words(Task[_Words]):
    """Rows that say their word and split."""

    Config = _Words
    protocol = "words"

    def __init__(self, config: _Words) -> None:
        super().__init__(config)
        self.rendering = config.rendering

    def _ask(self, split: Split) -> tuple[Message, ...]:
        return (Message(role="user", content=f"{self.config.word} {split}?"),)

    def samples(self, split: Split) -> list[Sample]:
        return [Sample(id="s", messages=self._ask(split))]

    def pairs(self, split: Split) -> list[ContrastPair]:
        asked = self._ask(split)
        return [ContrastPair(id="p", question_id="s", messages=asked, positive="+", negative="-")]

    def conversations(self, split: Split) -> list[Conversation]:
        return [Conversation(id="c", messages=self._ask(split))]


class Empty(Spec):
    """Nothing to configure."""


class Fitting(Intervention[Empty]):
    """Looks at its inputs before a model is loaded."""

    Config = Empty

    def determines(self, component: Component) -> dict[str, Any]:
        return {"fit": [component.name, self.VERSION, component.config]}

    def check_input(self, data: FitData) -> None:
        if any("bad" in row.messages[-1].content for row in data.rows):
            raise DataError("bad rows")


class Unseeded(Fitting):
    SEEDED = False


class Several(Fitting):
    MAKES = ("near", "far")


Plan = Callable[..., FitPlan]
TASK = Component(name="words")


def words(word: str, rendering: Rendering = "plain") -> Component:
    return Component(name="words", config={"word": word, "rendering": rendering})


@pytest.fixture(scope="module")
def resolved() -> ResolvedModel:
    return resolve(ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu"))


@pytest.fixture
def data() -> PlanData:
    return PlanData()


@pytest.fixture
def plan(resolved: ResolvedModel, data: PlanData) -> Plan:
    def plan(
        inputs: Mapping[str, Input],
        fitting: type[Fitting] = Fitting,
        component: Component = Component(name="mine"),  # noqa: B008
        seed: int = 0,
        fit_on: Component | None = TASK,
    ) -> FitPlan:
        def task_of(task: Component) -> Words:
            return Words(_Words.model_validate(task.config))

        need = Need(component, inputs)
        return plan_fit(need, fitting(Empty()), resolved, seed, data, task_of, fit_on)

    return plan


def test_each_input_is_named_with_its_rows_and_how_a_model_reads_them(
    plan: Plan, data: PlanData
) -> None:
    fit = plan(
        {
            "pairs": Pairs("fit"),
            "others": Pairs("select", words("b", "verbatim")),
            "holds": Prompts("fit", words("c"), "holds"),
            "talk": Conversations("test"),
        }
    )
    read = {
        name: (ref.kind, ref.split, ref.rendering, ref.label, data.rows(ref)[0].messages[0].content)
        for name, ref in fit.data.items()
    }
    assert read == {
        "pairs": ("pairs", "fit", "plain", None, "a fit?"),
        "others": ("pairs", "select", "verbatim", None, "b select?"),
        "holds": ("prompts", "fit", "plain", "holds", "c fit?"),
        "talk": ("conversations", "test", "plain", None, "a test?"),
    }
    assert (len(data.pairs), len(data.samples), len(data.conversations)) == (2, 1, 1)
    assert fit.owner == "intervention" and fit.model_identity is not None and not fit.completions


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": {"pairs": Pairs("select"), "holds": Prompts("fit", None, "holds")}},
        {"inputs": {"pairs": Pairs("fit", words("b")), "holds": Prompts("fit", None, "holds")}},
        {"inputs": {"pairs": Pairs("fit"), "holds": Prompts("fit", None, "fails")}},
        {"inputs": {"pairs": Pairs("fit"), "holds": Prompts("fit", words("b"), "holds")}},
        {"inputs": {"pairs": Pairs("fit"), "holds": Prompts("fit")}},
        {"inputs": {"pairs": Pairs("fit")}},
        {"inputs": {"others": Pairs("fit"), "holds": Prompts("fit", None, "holds")}},
        {"component": Component(name="mine", config={"layer": 2})},
        {"component": Component(name="yours")},
        {"seed": 1},
        {"fit_on": words("b")},
        {"fit_on": words("a", "chat")},
    ],
)
def test_what_a_fit_reads_is_part_of_its_key(plan: Plan, changes: dict[str, Any]) -> None:
    inputs = {"pairs": Pairs("fit"), "holds": Prompts("fit", None, "holds")}
    assert plan(inputs).key != plan(**{"inputs": inputs, **changes}).key


@pytest.mark.parametrize("kind", [Pairs, Prompts, Conversations])
def test_so_is_how_each_single_input_is_rendered(plan: Plan, kind: type) -> None:
    keys = [
        plan({"pairs": Pairs("fit"), "others": kind("fit", words("b", rendering))}).key
        for rendering in ("plain", "chat", "verbatim")
    ]
    assert len(set(keys)) == 3


def test_the_same_rows_of_another_task_are_the_same_fit(plan: Plan) -> None:
    assert plan({"pairs": Pairs("fit", words("a"))}).key == plan({"pairs": Pairs("fit")}).key


def test_a_fit_that_draws_nothing_is_the_same_under_every_seed(plan: Plan) -> None:
    inputs = {"pairs": Pairs("fit")}
    one, other = (plan(inputs, Unseeded, seed=seed) for seed in (0, 1))
    assert one.key == other.key and (one.seed, other.seed) == (0, 1)


def test_several_artifacts_of_one_fit_are_told_apart(plan: Plan) -> None:
    fit = plan({"pairs": Pairs("fit")}, Several)
    assert fit.artifacts == {"near": f"{fit.key}-near", "far": f"{fit.key}-far"}
    assert artifact_keys("k", ("vector",)) == {"vector": "k"}


def test_inputs_that_can_not_be_had_are_refused(plan: Plan) -> None:
    with pytest.raises(ConfigError, match="names none to fit on"):
        plan({"pairs": Pairs("fit")}, fit_on=None)
    assert plan({"pairs": Pairs("fit", TASK)}, fit_on=None).data
    with pytest.raises(ConfigError, match="input 'fit', which judges alone"):
        plan({"fit": Labelled("fit")})
    with pytest.raises(DataError, match="bad rows"):
        plan({"pairs": Pairs("fit"), "others": Prompts("fit", words("bad"))})
