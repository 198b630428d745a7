"""YAML and overrides become values, and each mistake becomes one line that names it."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from trimtab.core.config import apply_overrides, read_yaml, validate
from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, ModelSpec, Spec


class Inner(Spec):
    layer: int = 0


class Outer(Spec):
    name: str
    inner: Inner = Inner()
    judges: tuple[Component, ...] = ()


def test_overrides_are_yaml_at_any_depth_and_leave_the_data_alone() -> None:
    data = {"a": {"b": 1, "c": [{"d": 2}, 3]}, "e": None}
    overrides = ["a.b={x: y}", "a.c.0.d=[1, 2]", "e.f.g=null", "h=i=j", "a.c.1=0.5", "k="]
    assert apply_overrides(data, overrides) == {
        "a": {"b": {"x": "y"}, "c": [{"d": [1, 2]}, 0.5]},
        "e": {"f": {"g": None}},
        "h": "i=j",
        "k": None,
    }
    assert data == {"a": {"b": 1, "c": [{"d": 2}, 3]}, "e": None}


def test_a_key_below_a_plain_name_is_added_to_it() -> None:
    data = {"model": "bundled:x", "judges": ["exact", {"name": "rubric"}]}
    overrides = ["model.dtype=float32", "judges.0.ignore_case=false", "model.device=cpu"]
    assert apply_overrides(data, overrides) == {
        "model": {"id": "bundled:x", "dtype": "float32", "device": "cpu"},
        "judges": [{"name": "exact", "ignore_case": False}, {"name": "rubric"}],
    }


@pytest.mark.parametrize(
    "override", ["noequals", "=1", "list.2=1", "list.x=1", "list.0.deeper=1", "plain=[unclosed"]
)
def test_malformed_overrides_are_quoted(override: str) -> None:
    with pytest.raises(ConfigError) as error:
        apply_overrides({"list": [1, 2], "plain": 1}, [override])
    assert repr(override) in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1", "line 1"),
        (b"a:\n\tb: 1\n", "line 2"),
        (b"- a\n", "mapping"),
        (b"", "mapping"),
        (b"\xff\xfe", "can't be read"),
    ],
)
def test_files_that_are_no_mapping_are_told_in_one_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    message = str(error.value)
    assert words in message and "some.yaml" in message and "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml' does not exist"):
        read_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"nam": "x", "name": "x"}, "here: unknown key 'nam'. Did you mean 'name'?"),
        ({"name": "x", "inner": {"layr": 1}}, "unknown key 'inner.layr'. Did you mean 'layer'?"),
        ({}, "here: the key 'name' is missing."),
        ({"name": "x", "inner": {"layer": "abc"}}, "here: inner.layer = 'abc': "),
        ({"name": "x", "inner": 5}, "here: inner = 5: must be a mapping"),
        ({"name": "x", "judges": "exact"}, "here: judges = 'exact': must be a list."),
        ({"name": "x", "judges": [{"rubric": "truth"}]}, "the key 'judges.0.name' is missing."),
        ([], "here: value = []: must be a mapping"),
    ],
)
def test_each_wrong_key_or_value_is_named(data: object, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        validate(Outer, data, "here")
    assert words in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        validate(Outer, {"nam": "x", "inner": {"layer": None}}, "here")
    assert all(word in str(error.value) for word in ("'nam'", "'name' is missing", "inner.layer"))


class _Numbers(Spec):
    whole: int | None = None
    share: float = 0.5
    several: tuple[Annotated[int, Field(ge=0)], ...] = ()
    named: dict[str, float] = Field(default_factory=dict)
    flag: bool = False
    either: bool | int = 1
    free: dict[str, Any] = Field(default_factory=dict)
    model: ModelSpec | None = None


@pytest.mark.parametrize(
    "given", [{"whole": True}, {"share": False}, {"several": [1, True]}, {"named": {"a": True}}]
)
def test_a_truth_value_is_no_number(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no truth value"):
        validate(_Numbers, given, "a.yaml")


def test_a_truth_value_stays_where_one_may_be() -> None:
    given = {"flag": True, "either": True, "free": {"a": True}}
    found = validate(_Numbers, {**given, "model": {"id": "x", "trust_remote_code": True}}, "a.yaml")
    assert found.either is True and found.free == {"a": True} and found.model is not None
