"""What `trimtab list models` says of a model before anything of it is fetched."""

import pytest

from trimtab.cli import inspect


def test_models_are_listed_with_number_format_block_and_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inspect.list_members("models")
    lines = capsys.readouterr().out.splitlines()
    rows = {cells[0]: cells[1:] for line in lines for cells in [line.split("\t")]}
    weights = 27_432_406_640
    cache = 2 * 62 * 16 * 128 * 64 * 256  # keys and values of 64 rows of 256 tokens
    logits = 2 * 4 * 64 * 262_208
    sizes = [((weights + cache) * width + logits) / 2**30 for width in (4, 2)]
    assert rows["preset:gemma-3-27b-it"] == [
        "google/gemma-3-27b-it", "bfloat16", "26", *(f"{size:.1f}" for size in sizes)
    ]  # fmt: skip
    assert rows["preset:qwen2.5-0.5b-instruct"][1:3] == ["auto", "12"]
    assert rows["bundled:smollm2-135m-instruct"][2] == "15"
    assert rows["bundled:all-minilm-l6-v2"][2:] == ["", "", ""]
