"""The page on rented machines: its settings are valid, and its harmless commands run."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from loopback_lambda import KEY, loopback_lambda

from trimtab.cli.main import app
from trimtab.compute.cloud.settings import read_settings


def test_settings_and_commands_of_the_page_work(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = (repo / "docs" / "cloud.md").read_text()
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    mine, sky = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.S))
    (tmp_path / "sky.yaml").write_text(yaml.safe_dump(sky))
    assert read_settings(tmp_path / "sky.yaml").provider["cloud"] == "lambda"
    with loopback_lambda() as server:
        mine["provider"]["base_url"] = server.url
        (tmp_path / "cloud.yaml").write_text(yaml.safe_dump(mine))
        for line in re.search(r"```bash\n(.*?)```", page, re.S)[1].splitlines():
            app(shlex.split(line)[1:], standalone_mode=False)
        said = capsys.readouterr().out
    assert "gpu_8x_h100" in said and "No machine is there." in said and "0 ended" in said
    assert '"instance_type_name": "gpu_1x_a10"' in said and "Nothing was launched." in said
    assert not server.rented
    shown = re.search(r"```text\n(.*)\n(.*)\n.*\n```", page)
    assert shown[1] in said, "the price is as the page shows it"
