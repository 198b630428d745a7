from trimtab.text.leaks import HeldOut, problem_hash

LONG = "Janet has 3 ducks that lay 16 eggs per day and she eats three for breakfast every morning."


def test_spellings_of_one_problem_are_one() -> None:
    held = HeldOut([LONG])
    assert held.holds(
        "  janet has 3 ducks that lay 16 eggs per day and she eats three for\n"
        "breakfast every morning "
    )
    assert problem_hash("Why?") == problem_hash(" why ") != problem_hash("Who?")
    assert not held.holds(LONG.replace("16", "17"))


def test_thirteen_words_in_a_row_are_an_overlap_and_twelve_are_not() -> None:
    words = LONG.rstrip(".").split()
    held = HeldOut([LONG])
    assert held.overlaps("Once upon a time " + " ".join(words[2:15]) + " and left.")
    assert not held.overlaps("Once upon a time " + " ".join(words[2:14]) + " and left.")


def test_short_problems_are_compared_whole() -> None:
    held = HeldOut(["What is 3 + 4?"])
    assert held.overlaps("what is 3 + 4")
    assert not held.overlaps("What is 3 + 5?")
    assert not held.overlaps("What is 3 + 4 + 4?")
    assert not HeldOut([]).overlaps(LONG)
