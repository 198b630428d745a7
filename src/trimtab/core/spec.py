"""What a YAML file says, and what it was resolved to. No torch here: planning must stay light."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trimtab.core.errors import ConfigError
from trimtab.core.secrets import looks_issued, shown_url

_PRINTABLE = re.compile(r"\s*[^\s\x00-\x1f\x7f]+\s*")

Split = Literal["fit", "select", "test"]
Role = Literal["baseline", "zero", "treatment", "control"]
Output = Literal["text", "options"]
Purpose = Literal["result", "tuning"]
MetricRole = Literal["effect", "reading", "damage", "ranking", "ablation"]
RESULTS: tuple[MetricRole, ...] = ("effect", "reading")
"""Roles of what an experiment is about, tested or not."""


class Spec(BaseModel):
    """Base of every configuration: immutable, unknown keys refused, no aliases for old names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads ``yes`` and ``on`` as a truth value, and pydantic that as the number 1."""
        field = cls.model_fields.get(info.field_name or "")
        if field is not None and _has_bool(value) and not _takes_bool(field.annotation):
            raise ValueError("must be no truth value (YAML reads yes, no, on and off as one)")
        return value


def _has_bool(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_bool, value))
    if type(value) is dict:
        return any(map(_has_bool, value.values()))
    return isinstance(value, bool)


def _takes_bool(annotation: Any) -> bool:
    """Return whether a field may hold a truth value: its own, or within something else.

    What is within another specification is checked there.
    """
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _takes_bool(parts[0])
    if get_origin(annotation) is Literal:
        return any(isinstance(part, bool) for part in parts)
    if not parts:
        return annotation not in (int, float, str)
    return any(_takes_bool(part) for part in parts if part not in (type(None), ...))


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
    """Which weights, in which number format they run, and where.

    Attributes:
        id: Hub id, directory, GGUF file, ``bundled:<name>``, or ``preset:<name>``, whose other keys
            hold unless they are given here.
        revision: Hub commit, tag or branch; planning resolves it to a commit.
        dtype: ``auto`` is float32 on a CPU (exact) and bfloat16 on an accelerator.
        quantization: Weights of the blocks' linear layers in 4 bits (NF4) or 8 (LLM.int8), through
            bitsandbytes; ``dtype`` is that of everything else. Part of the model's identity.
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        device_map: Spread the blocks over several devices: ``auto`` fills one after the other,
            ``balanced`` fills them equally, and a mapping from module names to GPU numbers, ``cpu``
            or ``disk`` says where each goes. What is on ``disk``, or on the CPU of a machine with
            an accelerator, is loaded whenever it is computed.
        max_memory: For ``auto`` and ``balanced``: how much weights may take of each GPU (by number)
            and of the CPU, e.g. ``{0: 20GiB, cpu: 60GiB}``.
        offload_folder: Where ``disk`` weights are written that can't be read from the model's own
            files.
        trust_remote_code: Run Python code that comes with the model. Off unless asked for.
    """

    id: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Literal["4bit", "8bit"] | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    device_map: Literal["auto", "balanced"] | dict[str, int | str] | None = None
    max_memory: dict[int | str, int | str] | None = None
    offload_folder: str | None = None
    trust_remote_code: bool = False

    @field_validator("device_map", "max_memory")
    @classmethod
    def _number_devices(cls, value: Any) -> Any:
        """JSON has no number as a key and an override on the command line is text."""
        if not isinstance(value, dict):
            return value
        return {_as_number(k): _as_number(v) for k, v in value.items()}

    @model_validator(mode="after")
    def _check_devices(self) -> ModelSpec:
        if self.max_memory is not None and self.device_map not in ("auto", "balanced"):
            raise ValueError("max_memory is for device_map: auto or balanced")
        if self.offload_folder is not None and self.device_map is None:
            raise ValueError("offload_folder is for a device_map")
        return self

    @property
    def is_exact(self) -> bool:
        """Whether the shape of a batch changes results by float32's rounding alone."""
        return self.dtype not in ("bfloat16", "float16") and self.quantization != "8bit"


def _as_number(value: int | str) -> int | str:
    return int(value) if isinstance(value, str) and value.isdigit() else value


class Price(Spec):
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Tokens of the prompt.
        output: Tokens of the reply, those of hidden reasoning among them.
    """

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)


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
        timeout_s: Longest wait for one whole reply, in seconds, however slowly it comes.
    """

    base_url: str
    model: str
    api_key_env: str | None = "OPENAI_API_KEY"
    price: Price | Literal["free"] = Field(exclude=True)
    max_dollars: float | None = Field(default=None, ge=0, allow_inf_nan=False, exclude=True)
    num_parallel: int = Field(default=8, ge=1, exclude=True)
    max_retries: int = Field(default=6, ge=0, exclude=True)
    timeout_s: float = Field(default=120.0, gt=0, le=86_400, exclude=True)

    @property
    def identity(self) -> str:
        """``api:<model>@<base_url>`` for messages; long parts of the path are left out."""
        return f"api:{self.model}@{shown_url(self.base_url)}"

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        # No message repeats the address: it may hold a secret in a place that nobody expects.
        parts = _address(value.strip())
        if parts is None:
            raise ConfigError("base_url is no address: its host or port can't be read.")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ConfigError(
                "base_url must hold no user name, password, query or fragment.",
                hint="Put the key into an environment variable and name it in api_key_env.",
            )
        if any(map(looks_issued, parts.path.split("/"))):
            raise ConfigError(
                "base_url holds what looks like a key in its path.",
                hint="Put the key into an environment variable and name it in api_key_env.",
            )
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or not _PRINTABLE.fullmatch(value)
        ):
            raise ConfigError(
                "base_url must start with http:// or https://, name a host, and hold no spaces."
            )
        return value.strip().rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _check_api_key_env(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            raise ConfigError(
                "api_key_env must be the name of an environment variable, not a key.",
                hint="Use capitals, digits and underscores, e.g. OPENAI_API_KEY.",
            )
        return value


def _address(url: str) -> SplitResult | None:
    """Return the parts of an address; None where host or port can't be read."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts


class Metric(Spec):
    """One number a judge gives, and how reports treat it.

    Attributes:
        name: Key in ``Score.values``.
        kind: ``binary`` is 0 or 1, ``fraction`` lies between, ``number`` is unbounded.
        role: ``effect`` is what the experiment is about. ``reading`` is another reading of what an
            effect of the same judge reads already (by another rule, or cut at a threshold): it is
            shown with its interval, and is no test of its own in any correction. ``damage`` is what
            the experiment may break. ``ranking`` is a number by which candidates of one question
            are ranked, and which is no result itself; ``ablation`` is such a number made without
            seeing all that there is.
        higher_is_better: None where neither direction is.
        unit: Unit of a number, e.g. ``words``.
    """

    name: str
    kind: Literal["binary", "fraction", "number"]
    role: MetricRole
    higher_is_better: bool | None = True
    unit: str = ""

    def read_again(self, name: str, kind: Literal["binary", "fraction", "number"]) -> Metric:
        """Return the metric of another reading of this one's answers; of a damage, a damage."""
        role: MetricRole = "reading" if self.role == "effect" else self.role
        return self.model_copy(update={"name": name, "kind": kind, "role": role})
