"""MC1 and MC2 per question equal lm-eval's, recorded by ``bench/truthfulqa_lm_eval.py``.

lm-eval 0.4.13, transformers 5.23.0, torch 2.13.0, SmolLM2-135M-Instruct in float32, 817-question
version, raw QA preset. The first questions of the file are computed again here.
"""

import json
from pathlib import Path

import pytest
from truthfulqa_lm_eval import ours

from trimtab.core.keys import content_key
from trimtab.core.spec import ModelSpec

GOLDEN = Path(__file__).parent / "truthfulqa_mc_lm_eval.json"
NUM_CHECKED = 12
MODEL = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu", dtype="float32")


def test_mc_equals_lm_eval_per_question(shared_data: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    data = shared_data / "truthfulqa" / "v1"
    texts = {
        content_key(r["question"]): r["question"]
        for r in json.loads((data / "mc_task.json").read_text())
    }
    chosen = [key for key in sorted(golden) if key in texts][:NUM_CHECKED]
    assert len(chosen) == NUM_CHECKED
    found = ours(MODEL, data, {texts[key] for key in chosen})
    for key in chosen:
        assert found[texts[key]]["mc1"] == golden[key]["mc1"]
        assert found[texts[key]]["mc2"] == pytest.approx(golden[key]["mc2"], abs=1e-3)
