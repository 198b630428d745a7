"""A vector that leaves as a GGUF control vector does in llama.cpp what it does here.

llama.cpp multiplies packed weights with activations rounded to 8 bits, we the same weights in
float32. So the bundled model is compared twice. With its weights written out in float32, both give
the same log-probabilities, steered or not. As it ships they differ by about half a nat either way,
and the change that the vectors make is compared.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from whole_gguf import write_float32

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Options, OptionsResult, Request
from trimtab.models import bundled
from trimtab.models.load import load_model, resolve
from trimtab.vectors.file import checked
from trimtab.vectors.formats import export

llama_cpp = pytest.importorskip(
    "llama_cpp", reason="llama-cpp-python is not installed; `pip install llama-cpp-python` does"
)

MODEL = "smollm2-135m-instruct"
QUESTION = (Message(role="user", content="Tell me about the city of Oslo."),)
ANSWER = "Oslo is the capital of Norway. It lies on a fjord."
F32 = 0
SEVERAL = (1, 7, 15, 29)

LogProbs = Callable[[dict[int, torch.Tensor]], np.ndarray]


@pytest.fixture(scope="module")
def engine() -> Engine:
    try:
        return Engine(load_model(resolve(ModelSpec(id=f"bundled:{MODEL}", device="cpu"))))
    except ModelError as error:
        pytest.skip(f"the bundled model is not here: {error}")


@pytest.fixture(scope="module")
def rows(engine: Engine) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return a prompt and what is scored after it: an answer's beginnings, 200 single tokens."""
    prompt, (answer,) = engine.renderer.with_answers(QUESTION, [ANSWER], "chat")
    beginnings = [tuple(answer[: k + 1]) for k in range(len(answer))]
    return list(prompt), beginnings + [(token,) for token in range(1000, 41000, 200)]


@pytest.fixture(scope="module")
def ours(engine: Engine, rows) -> LogProbs:
    """Return a function from vectors by block to this package's log-probabilities."""

    def logprobs(added: dict[int, torch.Tensor]) -> np.ndarray:
        edits = tuple(Edit(block, vector, 1.0, "all") for block, vector in added.items())
        request = Request("row", tuple(rows[0]), Options(tuple(rows[1])), edits)
        (result,) = engine.run([request])
        assert isinstance(result, OptionsResult)
        return np.array(result.logprobs)

    return logprobs


def as_llama_cpp_reads(path: Path, hidden: int) -> np.ndarray:
    """Return the buffer that llama.cpp makes of a file: a row per block from block 1 on."""
    from gguf import GGUFReader

    found = [(int(t.name.removeprefix("direction.")), t.data) for t in GGUFReader(path).tensors]
    buffer = np.zeros((max(block for block, _ in found), hidden), dtype=np.float32)
    for block, direction in found:
        buffer[block - 1] += direction
    return buffer


def theirs(model: Path, rows, folder: Path) -> Iterator[LogProbs]:
    """Yield a function from vectors, which go through a file, to llama.cpp's log-probabilities."""
    prompt, options = rows
    answer = list(options[len(options) - 201])
    steps = range(len(answer))
    with closing(
        llama_cpp.Llama(
            str(model),
            n_ctx=256,
            n_threads=1,
            n_threads_batch=1,
            logits_all=True,
            type_k=F32,
            type_v=F32,
            flash_attn=False,
            verbose=False,
        )
    ) as llama:

        def logprobs(added: dict[int, torch.Tensor]) -> np.ndarray:
            data, size = None, 0
            if added:
                export(checked(added, {}, "test"), "gguf", folder / "vectors.gguf")
                buffer = as_llama_cpp_reads(folder / "vectors.gguf", llama.n_embd())
                data, size = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), buffer.size
            context, width = llama._ctx.ctx, llama.n_embd()
            assert llama_cpp.llama_set_adapter_cvec(context, data, size, width, 1, 30) == 0
            llama.reset()
            llama.eval([*prompt, *answer])
            logits = torch.tensor(llama.scores[len(prompt) - 1 : len(prompt) + len(answer) - 1])
            found = logits.double().log_softmax(-1).numpy()
            beginnings = np.cumsum([found[k, answer[k]] for k in steps])
            return np.concatenate([beginnings, found[0, [o[0] for o in options[len(answer) :]]]])

        yield logprobs


@pytest.fixture(scope="module")
def shipped(rows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogProbs]:
    (path,) = bundled.locate(bundled.TABLE[MODEL])
    yield from theirs(path, rows, tmp_path_factory.mktemp("shipped"))


@pytest.fixture(scope="module")
def float32(rows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogProbs]:
    folder = tmp_path_factory.mktemp("float32")
    (path,) = bundled.locate(bundled.TABLE[MODEL])
    yield from theirs(write_float32(path, folder / "model.gguf"), rows, folder)


def vectors(blocks: tuple[int, ...], length: float) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = {block: torch.randn(576, generator=generator) for block in blocks}
    return {block: vector / vector.norm() * length for block, vector in drawn.items()}


CASES = [vectors((1,), 40), vectors((15,), 80), vectors((29,), 80), vectors(SEVERAL, 20)]


@pytest.mark.parametrize("added", [{}, *CASES], ids=lambda a: "-".join(map(str, a)) or "none")
def test_same_log_probabilities_with_the_same_weights(ours, float32, added) -> None:
    found, expected = float32(added), ours(added)
    if added:
        assert abs(expected - ours({})).max() > 1
    # nats; measured with llama-cpp-python 0.3.36: 3e-5 to 7e-5, unsteered 4e-5
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=0)


def test_the_block_beside_it_is_told_apart(ours, float32) -> None:
    (vector,) = CASES[1].values()
    for block in (14, 16):
        assert abs(float32({block: vector}) - ours({15: vector})).max() > 0.5


@pytest.mark.parametrize("added", CASES, ids=lambda a: "-".join(map(str, a)))
def test_same_change_in_the_model_as_it_ships(ours, shipped, added) -> None:
    change, expected = shipped(added) - shipped({}), ours(added) - ours({})
    # measured: 0.98 to 1.00; both engines differ by up to 0.4 nats unsteered, 0.7 steered
    cosine = change @ expected / np.linalg.norm(change) / np.linalg.norm(expected)
    assert cosine > 0.95
