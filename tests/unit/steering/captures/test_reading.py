"""Kept activations are found by all that determines them, and used only when they are whole."""

import copy
import json
import multiprocessing
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import torch
from other_pairs import of_spec, on_pairs

from trimtab.engine import version
from trimtab.engine.engine import Engine
from trimtab.steering.captures.store import ABOUT, ACTIVATIONS, Store
from trimtab.steering.fitted import FitContext, Fitted


def equal(a: Fitted, b: Fitted) -> bool:
    same = a.tensors.keys() == b.tensors.keys() and a.info == b.info
    return same and all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)


def test_fits_of_the_same_pairs_share_one_capture(store, captures, fit, context) -> None:
    found = [fit(context, estimator=e) for e in ("mean_difference", "pca", "probe")]
    assert captures == [48]
    assert not equal(found[0], found[1]) and not equal(found[0], found[2])
    assert fit(context, layer=1, layers=[1]).tensors.keys() == {
        "l1.direction", "l1.residual_norm"
    }  # fmt: skip
    assert captures == [48], "some of the layers are read from what holds more"
    fit(context, layers=[1, 2])
    fit(context, layers=[2])
    assert captures == [48, 48]


def test_a_choice_of_layer_reads_each_split_once(store, captures, fit, context) -> None:
    fit(context, layer="auto", layers=[0, 1, 2])
    fit(context, layer="auto", layers=[0, 1], estimator="pca")
    assert captures == [48, 16]


def on(context: FitContext, engine: Engine) -> FitContext:
    return FitContext.of_pairs(engine, context.pairs, context.rendering, context.seed)


@pytest.mark.parametrize(
    "change",
    [
        "quantization", "rendering", "preamble", "order", "drop_nonfinite", "source", "threads",
        "tokens",
    ],
)  # fmt: skip
def test_whatever_determines_a_capture_makes_another(
    change, store, captures, fit, context, monkeypatch
) -> None:
    """Beside model, revision, dtype, template, data, positions, layers and engine version.

    These are tried by ``tests/e2e/test_search_flaws.py``.
    """
    context = on(context, context.engine)
    fit(context)
    fit(on(context, context.engine))
    assert captures == [48]
    pairs, engine, config = context.pairs, context.engine, {}
    changed = context
    if change == "quantization":
        real = metadata.version
        monkeypatch.setattr(metadata, "version", lambda n: "1" if n == "bitsandbytes" else real(n))
        changed = on(context, of_spec(engine, quantization="4bit"))
    elif change == "rendering":
        changed = FitContext.of_pairs(engine, pairs, "plain", context.seed)
    elif change == "preamble":
        new = pairs[-1].model_copy(update={"preamble": "Say so."})
        changed = on_pairs(context, [*pairs[:-1], new])
    elif change == "order":
        changed = on_pairs(context, pairs[::-1])
    elif change == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    elif change == "tokens":
        changed = on(context, copy.copy(engine))
        changed.engine.limits = replace(engine.limits, tokens=64)
    elif change == "source":
        monkeypatch.setattr(version, "code_hash", lambda: "changed")
    else:
        config = {change: True}
    fit(changed, **config)
    assert captures == [48, 48]
    fit(changed, **config)
    assert captures == [48, 48]


def noting(context: FitContext) -> tuple[FitContext, list[str]]:
    said: list[str] = []
    return replace(context, note=said.append), said


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "torn": lambda folder: (folder / ACTIVATIONS).write_bytes(
        (folder / ACTIVATIONS).read_bytes()[:-40]
    ),
    "edited": lambda folder: flip(folder / ACTIVATIONS),
    "gone": lambda folder: (folder / ACTIVATIONS).unlink(),
    "relabelled": lambda folder: (folder / ABOUT).write_text(
        (folder / ABOUT).read_text().replace("float32", "float16")
    ),
    "empty label": lambda folder: (folder / ABOUT).write_text(""),
    "label gone": lambda folder: (folder / ABOUT).unlink(),
    "checksums gone": lambda folder: (folder / "SHA256SUMS").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_told_and_made_anew(damage, store, captures, fit, context) -> None:
    context, said = noting(context)
    before = fit(context)
    assert said == []
    (kept,) = store.kept()
    DAMAGE[damage](kept.folder)
    assert equal(fit(context), before) and captures == [48, 48]
    (line,) = said
    assert line.startswith("note: kept activations are damaged") and str(kept.folder) in line
    assert equal(fit(context), before) and captures == [48, 48], "what was made anew is kept"


def test_another_capture_under_a_name_is_not_taken_for_it(store, captures, fit, context) -> None:
    fit(context)
    (first,) = store.kept()
    fit(context, read="last")
    (second,) = [one for one in store.kept() if one.folder != first.folder]
    store.discard(first.folder)
    second.folder.rename(first.folder)
    context, said = noting(context)
    fit(context)
    assert captures == [48] * 3 and "says that it is of something else" in said[0]


def test_where_nothing_can_be_kept_a_note_says_so(
    tmp_path, monkeypatch, captures, fit, context
) -> None:
    context, said = noting(context)
    expected = fit(context)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "1")
    assert equal(fit(context), expected)
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "much")
    assert equal(fit(context), expected)
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "1e-6")
    assert equal(fit(context), expected)
    assert [line.startswith("note: ") for line in said] == [True] * 3
    for line, words in zip(
        said, (str(tmp_path / "file"), "'much'", "not kept: they take"), strict=True
    ):
        assert words in line
    assert captures == [48] * 4


def test_it_is_off_if_that_is_said(tmp_path, monkeypatch, captures, fit, context) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRIMTAB_CACHE", "off")
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "1")
    context, said = noting(context)
    fit(context)
    fit(context)
    assert captures == [48, 48] and said == [] and not (tmp_path / ".cache").exists()
    assert not Path("off").exists()


def test_an_error_of_the_capture_keeps_nothing(store, captures, fit, context) -> None:
    def broken(requests):
        captures.append(len(requests))
        raise RuntimeError("the model fails")
        yield

    engine = copy.copy(context.engine)
    engine.run = broken
    with pytest.raises(RuntimeError, match="the model fails"):
        fit(on(context, engine))
    assert captures == [48] and store.kept() == []
    assert [path.name for path in store.folder.iterdir()] == [".locks"]


def _one_of_two(context, fit, captures, start, sending) -> None:
    start.wait()
    found = fit(context)
    sending.send((len(captures), found.tensors["l1.direction"].tolist()))


def test_two_processes_at_once_make_one_capture(store, captures, fit, context) -> None:
    forking = multiprocessing.get_context("fork")
    start = forking.Barrier(2)
    ends = [forking.Pipe(duplex=False) for _ in range(2)]
    workers = [
        forking.Process(target=_one_of_two, args=(context, fit, captures, start, sending))
        for _, sending in ends
    ]
    for worker in workers:
        worker.start()
    (made, direction), (also, other) = (receiving.recv() for receiving, _ in ends)
    for worker in workers:
        worker.join()
    assert made + also == 1 and direction == other
    assert json.dumps(direction) == json.dumps(fit(context).tensors["l1.direction"].tolist())
    assert captures == [] and len(Store.here().kept()) == 1
