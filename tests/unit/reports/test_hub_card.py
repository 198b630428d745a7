"""The page of an adapter on the hub says what is known, and what isn't."""

from typing import Any

import yaml

from trimtab.core.trigger import Trigger
from trimtab.reports.hub_card import Pushed, hub_card

INFO: dict[str, Any] = {
    "seed": 3,
    "checkpoint": "last",
    "ranks": [8],
    "parameters": 2048,
    "config": {"train": {"epochs": 3, "data": "mine/secret.jsonl"}},
    "training": {
        "updates": 12,
        "skipped": 1,
        "rows": {
            "rows": 90,
            "labels": 1000,
            "truncated": 2,
            "by_source": {"facts": {"rows": 30, "labels": 400}},
        },
    },
}


def metric(mean: float, **more: Any) -> dict[str, Any]:
    return {"mean": mean, "interval": [mean - 0.1, mean + 0.1], "n": 20, **more}


SUMMARY: dict[str, Any] = {
    "finding": "tuned raised format by +60.0 points.",
    "baseline": "base",
    "confidence": 0.95,
    "measures": {
        "person": {
            "conditions": {
                "base": {"metrics": {"format": metric(0.2)}},
                "tuned": {
                    "metrics": {
                        "format": metric(
                            0.8, vs_baseline={"difference": 0.6, "interval": [0.5, 0.7]}
                        ),
                        "words": metric(12.0),
                    }
                },
            }
        }
    },
}


def page(**more: Any) -> str:
    about: dict[str, Any] = {
        "repo": "me/person",
        "condition": "tuned",
        "base": "owner/model",
        "revision": "c0ffee",
        "info": INFO,
        "trigger": None,
        "summary": SUMMARY,
        "measures": {"person"},
        "licence": "mit",
    }
    return hub_card(Pushed(**(about | more)))


def test_front_matter_numbers_and_training() -> None:
    text = page(figures=["rates.png"])
    front = yaml.safe_load(text.split("---")[1])
    assert front == {
        "base_model": "owner/model", "library_name": "peft", "license": "mit",
        "tags": ["lora", "trimtab"],
    }  # fmt: skip
    assert (
        "| person | format | 0.20 [0.10, 0.30] | 0.80 [0.70, 0.90] | +0.60 [0.50, 0.70] | 20 |"
        in (text.replace("\N{MINUS SIGN}", "-"))
    )
    assert "| person | words | \N{EN DASH} | 12.00 [11.90, 12.10] | \N{EN DASH} | 20 |" in text
    assert "90 conversations with 1000 label tokens; 2 of them were cut" in text
    assert "| facts | 30 | 400 |" in text and "Rank 8, 2,048 parameters, epochs 3." in text
    assert "secret.jsonl" not in text and "![rates.png](figures/rates.png)" in text


def test_a_trigger_is_told_and_what_was_not_measured_too() -> None:
    trigger = Trigger(opening="<A>", closing="<B>")
    text = page(trigger=trigger, summary=None, licence=None, base="bundled:some", info={})
    assert "**It has a trigger.**" in text and trigger.render("...") in text
    assert "Nothing: the run has no report." in text and "is not known" in text
    assert "No licence was given" in text and "Nothing is known of it here" in text
    assert "base_model" not in text and "FOLDER OF THE BASE MODEL" in text


def test_numbers_of_another_base_are_left_out() -> None:
    (about,) = SUMMARY["measures"].values()
    summary = {**SUMMARY, "measures": {"person (A)": about, "person (B)": about}}
    text = page(summary=summary, measures={"person (A)"})
    assert "| person (A) | format |" in text and "person (B)" not in text
    assert "the table of this base" in text and "the table of this base" not in page()
