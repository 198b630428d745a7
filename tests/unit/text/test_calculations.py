"""Calculations in solutions: found, checked, and carried on from another result."""

import pytest

from trimtab.text.calculations import Working, numbers, without_marks

SHOP = (
    "Tom pays 3*$1,250 = $<<3*1250=3750>>3,750 for tables.\n"
    "Chairs are half of it, 3,750 / 2 = <<3750/2=1875>>1,875.\n"
    "So he pays 3,750+1,875 = <<3750+1875=5625>>5,625.\n#### 5,625"
)


@pytest.mark.parametrize(
    ("text", "results"),
    [
        (SHOP, ["3750", "1875", "5625"]),
        ("48/2 = <<48/2=24>>24 and 24+1 = 25", ["24"]),  # marks count where there are any
        ("23 + 45 = 68\n68 - 5 = 63\nThe answer is 63", ["68", "63"]),
        ("2 x (3.5 + $.5) = $8, so 20% of it: 20% x 8 = 1.6", ["8", "1.6"]),
        ("10 \N{DIVISION SIGN} 4 = 2.5 each; so x = 5 and 2 + 2 = 5", ["2.5"]),
        ("<<3-5=-2>> <<7/3=2.33>> <<2**3=8>> <<f(2)=2>> <<1/0=1>> <<((((=1>> = = 5", []),
        ("no number", []),
    ],
)
def test_what_comes_out_as_it_says_is_a_calculation(text: str, results: list[str]) -> None:
    working = Working(text)
    assert [working.numbers[i].text for i in working.results()] == results


def place(working: Working, text: str) -> int:
    return next(i for i in working.results() if working.numbers[i].text == text)


def test_all_that_follows_from_another_result_is_written_in_its_form() -> None:
    working = Working(SHOP, "Tom buys 3 tables for $1,250 each, and chairs for half of it.")
    assert working.following(place(working, "3750"), "3950") == (
        "Tom pays 3*$1,250 = $<<3*1250=3950>>3,950 for tables.\n"
        "Chairs are half of it, 3,950 / 2 = <<3950/2=1975>>1,975.\n"
        "So he pays 3,950+1,975 = <<3950+1975=5925>>5,925.\n#### 5,925"
    )
    assert working.following(place(working, "1875"), "1865") == (
        SHOP.replace("1875", "1865").replace("1,875", "1,865").replace("5625", "5615")
    ).replace("5,625", "5,615")
    assert working.following(place(working, "3750"), "3751") is None, "half of it has a decimal"
    assert working.ending_in("5,629") == SHOP.replace("#### 5,625", "#### 5,629").replace(
        ">>5,625", ">>5,629"
    )


@pytest.mark.parametrize(
    ("text", "given", "result", "other", "expected"),
    [
        # 5 is also in the question: the 5 of the second line may be either
        ("2+3 = 5\n5*7 = 35", "He has 5 of 7.", "5", "6", None),
        ("2+3 = 5\n5*7 = 35", "He has 2 of 7.", "5", "6", "2+3 = 6\n6*7 = 42"),
        # one number, two meanings
        ("4+5 = 9\n18/2 = 9\n9+9 = 18", "", "9", "8", None),
        ("9-2 = 7\n8-7 = 1", "", "7", "8", None),  # nothing would be left
        ("9-2 = 7\n8-7 = 1", "", "7", "9", None),  # less than nothing
        ("5/2 = 2.50\n2.50*2 = 5.00", "", "2.50", "2.75", "5/2 = 2.75\n2.75*2 = 5.50"),
        # what can't be carried on, from a number that changes
        ("9+6 = 15\n15 ** 2 = 225", "", "15", "16", None),
    ],
)
def test_where_it_is_not_clear_what_follows_nothing_is_said(
    text: str, given: str, result: str, other: str, expected: str | None
) -> None:
    working = Working(text, given)
    assert working.following(place(working, result), other) == expected


def test_numbers_stand_as_they_are_written_and_marks_can_be_taken_out() -> None:
    found = list(numbers("$1,250.50, .5 and 1,00,0 of 12345678901234567890"))
    assert [number.text for number in found] == ["1,250.50", ".5", "1", "00", "0"]
    for number in found:
        assert number.rewritten(number.value) == number.text or number.text == "00"
    assert found[1].rewritten(found[0].value) == "1250.5"
    assert without_marks(SHOP).splitlines()[0] == "Tom pays 3*$1,250 = $3,750 for tables."
