"""The page on vectors is followed from its first command to its last."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from trimtab.core.errors import ModelError
from trimtab.runs.store.run import Run

_FILE = re.compile(r"^`(\w+\.yaml)`:\n\n```yaml\n(.*?)^```$", re.M | re.S)
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from trimtab.core.spec import ModelSpec
    from trimtab.models.load import load_model, resolve

    try:
        load_model(resolve(ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu")))
    except ModelError as error:
        pytest.skip(f"the bundled model is not here: {error}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_command_works_and_the_vector_comes_back(
    repo: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trimtab.cli.main import main

    page = (repo / "docs" / "vectors.md").read_text()
    for name, text in _FILE.findall(page):
        (beside / name).write_text(text)
    commands = [line for block in _COMMANDS.findall(page) for line in block.splitlines()]
    assert len(commands) == 8
    said = {}
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "trimtab"
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        assert ended.value.code == 0, out.err
        said[command] = out.out
    shown = said["trimtab vectors show truthful.gguf"]
    assert "index: block_output_0based" in shown and "condition: caa +0.3" in shown
    assert "caa -0.3" in said["trimtab vectors show runs/tour"]

    run = Run.open(beside / "runs" / "again")
    rows = {
        cell.condition: [r.option_logprobs for r in run.completions(cell.key).values()]
        for cell in run.plan.cells
    }
    assert rows["imported"] != rows["baseline"]
    for ours, imported in zip(rows["caa +0.3"], rows["imported"], strict=True):
        assert imported == pytest.approx(ours, abs=1e-4)
