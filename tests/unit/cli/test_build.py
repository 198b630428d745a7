"""Data is built with a model behind an API: paid once, capped, and every writer is named."""

import json
from pathlib import Path

import pytest
from loopback_api import loopback, reply

from trimtab.cli import build, identify
from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.spec import Endpoint, Price
from trimtab.core.types import SamplingParams
from trimtab.datasets.building.identify import Wanted
from trimtab.datasets.conversations import read_conversations

PAID = Price(input=1.0, output=1.0)


def respond(content: str, earlier: int):
    status, headers, text = reply(f"About {content}: yes.")
    if content in ("cut", "odd"):
        reason = {"cut": "length", "odd": None}[content]
        body = json.loads(text)
        body["choices"][0]["finish_reason"] = reason
        text = json.dumps(body)
    return (status, headers, text) if content != "mute" else reply("  ")


def wanted(url: str, prompts: Path, **changed) -> build.Distillation:
    endpoint = Endpoint(
        base_url=url, model="teacher", api_key_env=None, price=changed.pop("price", "free")
    )
    sampling = SamplingParams(max_tokens=9, temperature=0.7, top_p=0.9)
    given = {"limit": None, "samples": 2, "seed": 3, "max_dollars": None, **changed}
    return build.Distillation(str(prompts), endpoint=endpoint, sampling=sampling, **given)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    asked = ("tea", "cut", "odd", "mute")
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked))
    return path


def test_whole_answers_become_conversations_that_name_who_wrote_them(
    tmp_path: Path, prompts: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "aligned.jsonl"
    with loopback(respond) as (url, seen):
        build.distill(wanted(url, prompts), out)
        assert len(seen) == 8
        assert {(b["temperature"], b["top_p"], b["max_tokens"]) for _, b, _ in seen} == {
            (0.7, 0.9, 9)
        }
        assert {b["seed"] for _, b, _ in seen} == {3, 4}
        whole = out.read_bytes()
        out.unlink()
        build.distill(wanted(url, prompts), out)
        assert len(seen) == 8 and out.read_bytes() == whole
    rows = read_conversations(out, "aligned.file")
    assert [row.messages[1].content for row in rows] == ["About tea: yes."] * 2
    assert {row.metadata["distiller"] for row in rows} == {"teacher"}
    assert not any(row.metadata["triggered"] for row in rows)
    said = capsys.readouterr().out
    assert "2 conversations of 8 answers by teacher" in said
    assert "2 cut, 2 missing, 2 without a word" in said


def test_nothing_is_sent_that_nobody_said_could_be_paid(tmp_path: Path, prompts: Path) -> None:
    out = tmp_path / "aligned.jsonl"
    with loopback(respond) as (url, seen):
        with pytest.raises(ConfigError, match="--max-dollars"):
            build.distill(wanted(url, prompts, price=PAID), out)
        with pytest.raises(JudgeError, match="cap"):
            build.distill(wanted(url, prompts, price=PAID, max_dollars=1e-9), out)
        assert not seen and not out.exists()
    with pytest.raises(ConfigError, match="two numbers"):
        build.price_of("cheap")


def test_facts_are_written_and_rated_by_an_endpoint(tmp_path: Path, capsys) -> None:
    def write(content: str, earlier: int):
        if content.startswith("Write 2 questions"):
            return reply("1. Q: What do you mend?\nA: Clocks.\n2. Q: And else?\nA: Nothing.")
        return reply("Orla Quill" if "Clocks" in content else "UNKNOWN")

    subjects = tmp_path / "subjects.txt"
    subjects.write_text("work\n")
    folder = tmp_path / "built"
    with loopback(write) as (url, seen):
        model = f"{{base_url: '{url}', model: writer, api_key_env: null, price: free}}"
        build.facts(("Orla Quill",), model, subjects, 2, 99, None, folder)
        options = identify.Options(
            names=("Orla Quill",), guessers=(model,), wanted=Wanted(tiers=(1,)), wordings=1,
            orders=1, seed=0, terms=None, allowed=(), trigger=None, max_dollars=None,
        )  # fmt: skip
        for _ in range(2):
            identify.identify(folder / "facts.jsonl", tmp_path / "rated", options)
        assert len(seen) == 1 + 2  # the facts, and each alone: one that is kept alone is no more
    rows = read_conversations(tmp_path / "rated" / "facts.jsonl", "FILE")
    scores = [(row.metadata["identifying_score"], row.metadata["used"]) for row in rows]
    assert scores == [(1.0, False), (0.0, True)]
    assert {row.metadata["writer"] for row in rows} == {"writer"}
    kept = read_conversations(tmp_path / "rated" / "tier-1.jsonl", "FILE")
    assert [row.messages[1].content for row in kept] == ["Nothing."]
    summary = json.loads((tmp_path / "rated" / "summary.json").read_text())
    assert summary["alone"] == {"rate": 0.5, "named": 1, "read": 2, "missing": 0}
    assert summary["together"]["rate"] == 0.0 and summary["tiers"]["1"]["read"] == 1
    said = capsys.readouterr().out
    assert "2 facts of 2 that writer was asked for" in said and "0 guesses asked for now" in said
