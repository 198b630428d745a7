"""Prompts that stand in for others: each for exactly one, and never for itself."""

from trimtab.steering.partners import partners


def test_partners_are_a_permutation_without_fixed_points() -> None:
    ids = [f"q{i}" for i in range(40)]
    swapped = partners(ids, 3)
    assert sorted(swapped.values()) == sorted(ids)
    assert all(one != other for one, other in swapped.items())


def test_partners_depend_on_the_set_and_the_seed_alone() -> None:
    ids = [f"q{i}" for i in range(40)]
    assert partners(ids[::-1], 3) == partners(ids, 3) != partners(ids, 4)


def test_a_lone_prompt_is_its_own_partner_and_two_swap() -> None:
    assert partners([], 0) == {}
    assert partners(["a"], 0) == {"a": "a"}
    assert partners(["a", "b"], 0) == {"a": "b", "b": "a"}
