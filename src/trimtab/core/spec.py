"""What a YAML file says, and what it was resolved to. No torch here: planning must stay light."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from trimtab.core.errors import ConfigError
from trimtab.core.types import Rendering, SamplingParams

Split = Literal["fit", "select", "test"]
Role = Literal["baseline", "zero", "treatment", "control"]
Output = Literal["text", "options"]


class Spec(BaseModel):
    """Base of every configuration: immutable, unknown keys refused, no aliases for old names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Component(BaseModel):
    """A member of a registry folder and its configuration: ``{name: caa, layer: 15}``.

    In YAML a component is a bare name or a mapping with ``name``; the other keys are checked
    against the ``Config`` of the class that the name stands for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    config: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and not set(value) <= {"name", "config"}:
            rest = {k: v for k, v in value.items() if k != "name"}
            return {"config": rest} | ({"name": value["name"]} if "name" in value else {})
        return value


class ModelSpec(Spec):
    """Which weights, and in which number format they run.

    Attributes:
        id: Hub id, directory, GGUF file, or ``bundled:<name>``.
        revision: Hub commit, tag or branch; planning resolves it to a commit.
        dtype: ``auto`` is float32 on a CPU (exact) and bfloat16 on an accelerator.
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        trust_remote_code: Run Python code that comes with the model. Off unless asked for.
    """

    id: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    trust_remote_code: bool = False


class Price(Spec):
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Tokens of the prompt.
        output: Tokens of the reply, those of hidden reasoning among them.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Endpoint(Spec):
    """An OpenAI-compatible chat API. The key itself never enters a configuration.

    What stands below ``price`` changes no score and is no part of a judge's key.

    Attributes:
        base_url: Address up to and including the version, e.g. ``http://localhost:8000/v1``.
        model: The model's name there.
        api_key_env: Environment variable that holds the key; None for a server that wants none.
        price: What it costs, or ``free``; a model without a price is refused.
        max_dollars: Most that this judge may spend in one run, over all its attempts; a paid model
            needs this or a cap of the run.
        num_parallel: Most requests under way at one time.
        max_retries: Tries after the first, per prompt.
        timeout_s: Longest wait for one reply, in seconds.
    """

    base_url: str
    model: str
    api_key_env: str | None = "OPENAI_API_KEY"
    price: Price | Literal["free"] = Field(exclude=True)
    max_dollars: float | None = Field(default=None, ge=0, exclude=True)
    num_parallel: int = Field(default=8, ge=1, exclude=True)
    max_retries: int = Field(default=6, ge=0, exclude=True)
    timeout_s: float = Field(default=120.0, gt=0, exclude=True)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.username or parts.password or parts.query:
            # The message must not repeat what may be a secret, as a ValueError's would.
            raise ConfigError(
                "base_url must hold no user name, password or query.",
                hint="Put the key into an environment variable and name it in api_key_env.",
            )
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("must start with http:// or https:// and name a host")
        return value.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _check_api_key_env(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            raise ConfigError(
                "api_key_env must be the name of an environment variable, not a key.",
                hint="Use capitals, digits and underscores, e.g. OPENAI_API_KEY.",
            )
        return value


class Cell(Spec):
    """One condition on one task: the unit of work, of resume and of comparison.

    Attributes:
        key: Hash of everything that determines the output.
        condition: Label in tables; not part of the key.
        role: What the condition is there for; not part of the key.
        coordinates: Where it stands on a plot's axes (strength, layer, ...); not part of the key.
        measure: Short name of what the task asks for, e.g. ``generation``; groups tables.
        model: The model, with dtype resolved.
        model_identity: Hash of weights, tokenizer and template.
        task: The task and its configuration.
        split: Which split of the task.
        samples: Key of the sample set, see ``samples/<key>.jsonl`` in the run directory.
        output: Text or options.
        intervention: What is done to the model.
        artifact: Key of the fitted artifact it needs, if any.
        sampling: How texts are drawn; None for options.
        num_samples: Completions per sample.
        seed: Base seed of the random streams.
    """

    key: str
    condition: str
    role: Role
    coordinates: dict[str, float | str] = {}
    measure: str
    model: ModelSpec
    model_identity: str
    task: Component
    split: Split
    samples: str
    output: Output
    intervention: Component
    artifact: str | None = None
    sampling: SamplingParams | None = None
    num_samples: int = 1
    seed: int = 0


class ArtifactPlan(Spec):
    """Something that must be fitted before cells can run (vectors, a network, an adapter).

    Attributes:
        key: Hash of model, fit configuration and data.
        component: The intervention whose ``fit`` makes it.
        rendering: How the pairs become prompts.
        model: The model it is fitted on.
        model_identity: Hash of weights, tokenizer and template.
        pairs: Key of the contrast pairs, see ``pairs/<key>.jsonl`` in the run directory.
        seed: Seed of the fit.
    """

    key: str
    component: Component
    rendering: Rendering
    model: ModelSpec
    model_identity: str
    pairs: str
    seed: int = 0


class Metric(Spec):
    """One number a judge gives, and how reports treat it.

    Attributes:
        name: Key in ``Score.values``.
        kind: ``binary`` is 0 or 1, ``fraction`` lies between, ``number`` is unbounded.
        role: ``effect`` is what the experiment is about, ``damage`` what it may break.
        higher_is_better: None where neither direction is.
        unit: Unit of a number, e.g. ``words``.
    """

    name: str
    kind: Literal["binary", "fraction", "number"]
    role: Literal["effect", "damage"]
    higher_is_better: bool | None = True
    unit: str = ""


class JudgePlan(Spec):
    """A judge that scores every completion of its output kind.

    Attributes:
        key: ``<name>-<hash>``: names the folder of its scores.
        component: The judge and its configuration.
        output: The kind of completion it scores.
        metrics: What it gives.
        model: The model it needs, if any.
        model_identity: Hash of that model.
        measures: Only cells with these measures; None is all cells of the judge's output kind.
        members: Keys of the judges whose votes it counts, if it is a panel; reports show the
            panel's metrics in place of theirs.
    """

    key: str
    component: Component
    output: Output
    metrics: tuple[Metric, ...]
    model: ModelSpec | None = None
    model_identity: str | None = None
    measures: tuple[str, ...] | None = None
    members: tuple[str, ...] = ()


class Plan(Spec):
    """What a recipe makes of a configuration: pure data, written to ``plan.json``.

    Attributes:
        recipe: The recipe's name.
        name: The experiment's name.
        cells: What is to be generated.
        artifacts: What is to be fitted first.
        judges: What scores the completions.
        baseline: Condition that all others are compared with.
        window: Rows that are generated together; a resumed run repeats whole windows, so that its
            numbers are those of an undisturbed run to the last bit.
        seed: Seed of the statistics.
    """

    recipe: str
    name: str
    cells: tuple[Cell, ...]
    artifacts: tuple[ArtifactPlan, ...] = ()
    judges: tuple[JudgePlan, ...] = ()
    baseline: str = "baseline"
    window: int = 512
    seed: int = 0
