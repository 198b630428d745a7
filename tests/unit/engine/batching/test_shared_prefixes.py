"""Groups: every prompt in one of them, and no prefix that a member does not begin with."""

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from trimtab.engine.batching.shared_prefixes import prefix_groups

START = (9,) * 3
words = st.lists(st.sampled_from([(1,) * 20, (2,) * 17, (1,), (3,), (4, 5)]), max_size=6)
prompts = st.lists(words.map(lambda parts: (*START, *sum(parts, ()))), min_size=1, max_size=20)


@given(prompts)
def test_every_prompt_is_in_one_family_and_begins_with_its_stem(prompts) -> None:
    found = prefix_groups(prompts, 3)
    assert sorted(i for group in found for i in group.members) == list(range(len(prompts)))
    for group in found:
        assert len({prompts[i][: group.prefix] for i in group.members}) == 1
        assert group.prefix == 3 or all(group.prefix < len(prompts[i]) for i in group.members)
        assert group.prefix == 3 or (len(group.members) > 1 and group.prefix >= 3 + 16)
        lengths = [len(prompts[i]) for i in group.members]
        assert lengths == sorted(lengths, reverse=True)
    longest = [len(prompts[group.members[0]]) for group in found]
    assert longest == sorted(longest, reverse=True)


def test_answers_to_one_question_share_it_and_questions_stay_apart() -> None:
    one, other = (*START, *range(100, 130)), (*START, *range(200, 240))
    prompts = [(*one, 1, 2), (*other, 3), (*one, 4), (*one, 1, 5, 6), (*other, 7, 7), (*START, 8)]
    found = {group.members: group.prefix for group in prefix_groups(prompts, 3)}
    assert found == {(4, 1): 43, (3, 0, 2): 33, (5,): 3}


def test_a_prompt_that_shares_little_does_not_cost_the_others_their_stem() -> None:
    near = [(*START, *range(100), n) for n in range(3)]
    far = (*START, *range(20), *range(300, 340))
    found = {group.members: group.prefix for group in prefix_groups([*near, far], 3)}
    assert found == {(0, 1, 2): 103, (3,): 3}


def test_a_short_common_start_of_all_does_not_hide_the_long_one_of_some() -> None:
    opening = (*START, *range(20))
    plain = [(*opening, 500 + n) for n in range(4)]
    told = [(*opening, *range(600, 900), 1000 + n) for n in range(5)]
    found = {group.members: group.prefix for group in prefix_groups([*plain, *told], 3)}
    assert found == {(4, 5, 6, 7, 8): 323, (0, 1, 2, 3): 23}


@given(prompts)
def test_no_other_division_into_neighbours_saves_more(prompts) -> None:
    def saved(members: list[tuple[int, ...]]) -> int:
        limit = min(len(prompt) for prompt in members) - 1
        common = next((n for n in range(limit) if len({p[n] for p in members}) > 1), limit) - 3
        return (len(members) - 1) * common - 16 if common >= 16 and len(members) > 1 else 0

    some = sorted(set(prompts))[:8]
    found = prefix_groups(some, 3)
    most = max(
        sum(saved(some[a:b]) for a, b in pairwise((0, *cuts, len(some))))
        for size in range(len(some))
        for cuts in combinations(range(1, len(some)), size)
    )
    assert sum(saved([some[i] for i in group.members]) for group in found) == most
