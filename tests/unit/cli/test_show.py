"""``show`` knows every member, and the keys that YAML takes."""

import pytest

from trimtab.cli.inspect import REGISTRIES
from trimtab.cli.show import show
from trimtab.core.errors import ConfigError


def test_keys_have_defaults_values_and_meanings(capsys) -> None:
    show("judge", "rubric")
    said = " ".join(capsys.readouterr().out.replace("\u2502", "|").split())
    assert said.startswith("judge rubric: A language model answers")
    assert (
        "| rubric | required | text |" in said and '| mode | "logits" | logits | parsed |' in said
    )
    assert "| endpoint.api_key_env |" in said and "judges/rubric.py" in said


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_member_can_be_shown(kind, capsys) -> None:
    for name in REGISTRIES[kind].own_files:
        show(kind, name)
        said = capsys.readouterr().out
        config = getattr(REGISTRIES[kind].load(name), "Config", None)
        assert all(key in said for key in getattr(config, "model_fields", {}))


def test_what_is_not_there_is_said(capsys) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'judge' or 'judges'"):
        show("jugde", "rubric")
    with pytest.raises(ConfigError, match="Did you mean 'rubric'"):
        show("judges", "rubrik")
