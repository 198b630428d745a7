"""What the metrics of a run's judges are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.plan import JudgePlan


def judge_name(metric: str, judge: JudgePlan, peers: Sequence[JudgePlan]) -> str:
    """Return the metric's name, with what sets its judge apart where several give the metric.

    That is as few keys of the configuration as can be, ``kind`` first.
    """
    if len(peers) == 1:
        return metric
    configs = [peer.component.config for peer in peers]
    named: list[str] = []
    for key in sorted({key for config in configs for key in config}, key=_kind_first):
        more = [*named, key]
        if len({_words(config, more) for config in configs}) > len(
            {_words(config, named) for config in configs}
        ):
            named = more
    words = _words(judge.component.config, named)
    return f"{metric} ({words})" if words else metric


def _kind_first(key: str) -> tuple[bool, str]:
    return key != "kind", key


def _words(config: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the values of ``keys`` in a configuration: a kind by itself, of a path the end."""
    values = {key: config[key] for key in keys if key in config}
    shown = {k: v.rpartition("/")[2] if isinstance(v, str) else v for k, v in values.items()}
    return ", ".join(
        v if k == "kind" else f"{k}={v if isinstance(v, str) else json.dumps(v, sort_keys=True)}"
        for k, v in shown.items()
    )
