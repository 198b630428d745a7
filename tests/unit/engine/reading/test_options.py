"""What some prompts begin with alike is computed once, and no score depends on it."""

import random
from dataclasses import replace

import pytest
import torch

from trimtab.engine.engine import Engine
from trimtab.engine.reading import options as scoring
from trimtab.engine.reading.options import _batches, shared_prefixes
from trimtab.engine.request import Edit, Options, Request


def tree(seed: int) -> list[tuple[int, ...]]:
    """Prompts of one start: alone, twice, and in a group with a start of its own and one within."""
    draw = random.Random(seed)

    def some(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(5, 90) for _ in range(count))

    start, group = some(20), some(30)
    inner = group + some(25)
    alone, twice = start + some(40), start + some(20)
    tails = [start + group + some(n) for n in (1, 9)] + [start + inner + some(n) for n in (0, 1, 7)]
    return [alone, twice, *tails, twice, start]


@pytest.mark.parametrize("most", [1, 60, 100, 10_000])
def test_batches_keep_to_the_limit_and_count_what_is_shared_once(most: int) -> None:
    rows = [Request(i, prompt, Options(((11,), (12,)))) for i, prompt in enumerate(tree(0))]
    cut = list(_batches(rows, 20, most))
    assert sorted(row.key for batch in cut for row in batch) == list(range(len(rows)))
    for batch in cut:
        # each distinct start of a prompt is a token that must be computed, and each request's last
        starts = {row.prompt[:n] for row in batch for n in range(21, len(row.prompt) + 1)}
        assert len(starts) + len(batch) <= most or len(batch) == 1
    assert len(cut) == {1: 9, 60: 5, 100: 3, 10_000: 1}[most]


def test_options_of_one_prompt_share_all_of_it_and_others_what_they_begin_with() -> None:
    prompts = tree(0)
    rows = [Request(i, prompt, Options(((11,), (12,)))) for i, prompt in enumerate(prompts)]
    found = shared_prefixes(rows, 20)
    assert [found[prompt] for prompt in prompts] == [20, 20, 50, 50, 74, 74, 74, 20, 20]
    assert list(found)[:2] == [prompts[6], prompts[5]], "the longest group first"
    rows.append(Request(9, prompts[3], Options(((11, 12), (12,)))))
    found = shared_prefixes(rows, 20)
    assert [found[prompt] for prompt in prompts] == [20, 20, 20, 58, 74, 74, 74, 20, 20]


def test_many_questions_behind_one_preamble_keep_to_the_limit_when_another_breaks_it() -> None:
    preamble = tuple(range(100, 400))
    rows = [Request(i, (*preamble, i, 5), Options(((11, 12), (13,)))) for i in range(20)]
    cut = list(_batches([*rows, Request(99, (7, 8), Options(((11,),)))], 0, 1000))
    # a prompt that several options branch off is kept whole, so it counts whole
    assert max(map(len, cut)) == 3


LETTERS = ((11,), (12,))
ANSWERS = ((11, 12), (13,), (14,), (11, 15, 16))


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
@pytest.mark.parametrize("positions", ["generated", "all"])
@pytest.mark.parametrize("options", [LETTERS, ANSWERS], ids=["letters", "answers"])
def test_shared_starts_change_no_score(load_tiny, layout, positions, options) -> None:
    engine = Engine(load_tiny(layout))
    generator = torch.Generator().manual_seed(3)
    edit = Edit(1, torch.randn(engine.hidden_size, generator=generator), 2.0, positions)
    prompts = tree(1)
    rows = [Request((i, 0), prompt, Options(options)) for i, prompt in enumerate(prompts)]
    rows += [Request((i, 1), prompts[i], Options(options), (edit,)) for i in (0, 2, 3, 5)]
    together = {result.key: result.logprobs for result in engine.run(rows)}
    for row in rows:
        (alone,) = engine.run([row])
        assert together[row.key] == pytest.approx(alone.logprobs, abs=1e-5)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[list]:
    """The keys of each batch that was computed."""
    batches: list[list] = []
    score_batch = scoring._score_batch

    def noting(loaded, head, requests, primer, limits):
        batches.append([request.key for request in requests])
        yield from score_batch(loaded, head, requests, primer, limits)

    monkeypatch.setattr(scoring, "_score_batch", noting)
    return batches


def test_batches_of_which_nothing_is_owed_are_left_out_and_no_digit_changes(
    load_tiny, computed
) -> None:
    engine = Engine(load_tiny("llama"), max_tokens=150)
    prompts = [prompt for seed in range(4) for prompt in tree(seed)]
    rows = [Request(i, p, Options(ANSWERS, (1,))) for i, p in enumerate(prompts)]
    whole = {result.key: result for result in engine.run(rows)}
    batches = list(computed)
    assert len(batches) > 6
    for seed in range(5):
        draw = random.Random(seed)
        owed = {key for key in whole if draw.random() < 0.1 * (seed + 1)}
        computed.clear()
        found = {r.key: r for r in engine.run([replace(r, owed=r.key in owed) for r in rows])}
        assert found == {key: whole[key] for key in owed}
        assert computed == [batch for batch in batches if owed & set(batch)]
    computed.clear()
    assert not list(engine.run([replace(row, owed=False) for row in rows])) and not computed


def test_scores_of_a_batch_come_before_the_next_is_computed(load_tiny, computed) -> None:
    engine = Engine(load_tiny("llama"), max_tokens=150)
    rows = [Request(i, prompt, Options(LETTERS)) for i, prompt in enumerate(tree(0))]
    for seen, _ in enumerate(engine.run(rows), start=1):
        assert seen > sum(map(len, computed[:-1]))
    assert len(computed) > 1
