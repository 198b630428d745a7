"""What each of the three extractors takes from a text: a table, a line for each way of writing.

``strict`` and ``flexible`` are given as lm-eval's own expressions take them, ``chat`` by its value:
None is no answer, be it that there is none or that it can be read in two ways.
"""

import pytest

from trimtab.text.answers import (
    EXTRACTORS,
    NOTHING,
    UNCLEAR,
    Extracted,
    ExtractorName,
    canonical,
    chat,
    gold_number,
    is_correct,
)
from trimtab.text.tolerance import Tolerance, needs_tolerance

TABLE: list[tuple[str, str | None, str | None, str | None]] = [
    (r"So \boxed{\frac{3}{4}}", None, "4", "0.75"),
    (r"\boxed{\dfrac{6}{2}}", None, "2", "3"),
    (r"\boxed{\tfrac12}", None, "12", "0.5"),
    (r"\boxed{-\frac{1}{2}}", None, "2", "-0.5"),
    (r"\boxed{\frac{-1}{2}}", None, "2", "-0.5"),
    (r"\boxed{\frac{1{,}000}{4}}", None, "4", "250"),
    (r"\boxed{\frac{2}{3}}", None, "3", "2/3"),
    (r"\boxed{\frac{1.5}{3}}", None, "3", "0.5"),
    ("The answer is 3/4.", None, "4.", "0.75"),
    ("#### 3/4", "3", "4", "0.75"),
    ("#### 10/4 liters", "10", "4", "2.5"),
    ("The answer is 1\u20442 kg", None, "2", "0.5"),
    ("The answer is \xbe.", None, None, "0.75"),
    ("It is 5 + 1/2", None, "2", None),
    ("The answer is 1/0.", None, "0.", None),
    ("The answer is 1/2/2020.", None, "2020.", None),
    (r"The answer is $\frac{22}{7}$.", None, "$.", "22/7"),
    ("The answer is 2 1/2 cups.", None, "2", "2.5"),
    ("The answer is 2\xbd cups.", None, "2", "2.5"),
    (r"\boxed{2\frac{1}{2}}", None, "2", "2.5"),
    (r"\boxed{3 \tfrac{3}{4}}", None, "4", "3.75"),
    ("The answer is 2 and 1/2.", None, "2.", "2.5"),
    ("The answer is 2 and a half hours.", None, "2", "2.5"),
    ("The answer is 2 3/2.", None, "2.", None),
    ("The answer is 2-1/2.", None, "2.", None),
    ("The answer is -1 1/4.", None, "4.", "-1.25"),
    ("The answer is 1,250 1/2 feet.", None, "2", "1250.5"),
    (r"\boxed{18 \text{ cm}^2}", None, "2", "18"),
    (r"\boxed{18\text{ m}^{2}}", None, "2", "18"),
    (r"\boxed{\text{18 dollars}}", None, "18", "18"),
    (r"\boxed{\text{total: }1{,}234}", None, "234", "1234"),
    (r"\boxed{\mathbf{42}}", None, "42", "42"),
    (r"\boxed{\textbf{(7)}}", None, "7", "7"),
    (r"\boxed{x = 5}", None, "5", "5"),
    (r"\boxed{n=\frac{9}{3}}", None, "3", "3"),
    (r"\boxed{\$1{,}234.50}", None, "234.50", "1234.5"),
    (r"\boxed{50\%}", None, "50", "50"),
    (r"\boxed{1\ 234}", None, "234", "1234"),
    (r"\boxed{12\;345}", None, "345", "12345"),
    (r"\boxed{12\,345\,678}", None, ",678", "12345678"),
    (r"\boxed{1,\!000}", None, "000", "1000"),
    (r"\boxed{90^\circ}", None, "90", "90"),
    (r"\boxed{90^{\circ}}", None, "90", "90"),
    (r"\fbox{8}", None, "8", "8"),
    (r"\boxed 7 is it", None, "7", "7"),
    (r"\boxed{\boxed{9}}", None, "9", "9"),
    (r"\boxed{12", None, "12", "12"),
    (r"\boxed{12}, no wait: \boxed{13}", None, "13", "13"),
    (r"\boxed{x}. The answer is 4", None, "4", "4"),
    (r"\boxed{2\pi}", None, "2", None),
    (r"\boxed{\pi}", None, None, None),
    (r"\boxed{3\sqrt{2}}", None, "2", None),
    (r"\boxed{\sqrt{16}}", None, "16", "4"),
    (r"\boxed{\sqrt{2}}", None, "2", None),
    (r"\boxed{3, 4}", None, "4", None),
    (r"\boxed{3 \text{ or } 4}", None, "4", None),
    (r"\boxed{(3, 5)}", None, "5", None),
    (r"\boxed{2x + 3}", None, "3", None),
    (r"\boxed{5x}", None, "5", None),
    (r"\boxed{\frac{x}{2}}", None, "2", None),
    (r"\boxed{x \geq 5}", None, "5", None),
    (r"\boxed{5 \pm 1}", None, "1", None),
    (r"\boxed{0.\overline{3}}", None, "3", None),
    (r"\boxed{5!}", None, "5", None),
    (r"\boxed{101_2}", None, "2", None),
    (r"\boxed{\log_2 8}", None, "8", None),
    (r"\boxed{3 \times 4}", None, "4", None),
    (r"\boxed{3 \times 4 = 12}", None, "12", "12"),
    (r"\boxed{12 = x}", None, "12", "12"),
    (r"\[ \boxed{\text{seven}} \]", None, None, "7"),
    ("The answer is 1e3.", None, "3.", "1000"),
    ("The answer is 2.5E-2.", None, "-2.", "0.025"),
    (r"\boxed{1.5 \times 10^3}", None, "3", "1500"),
    (r"\boxed{2 \cdot 10^{-3}}", None, "-3", "0.002"),
    ("The answer is 3 x 10^4.", None, "4.", "30000"),
    ("The answer is 3 \xd7 10\xb3.", None, "10", "3000"),
    ("#### 6.02*10^23", "6.02", "23", "602000000000000000000000"),
    (r"\boxed{2^{10}}", None, "10", "1024"),
    ("The answer is 2^10.", None, "10.", "1024"),
    ("The answer is 2**5.", None, "5.", "32"),
    ("The answer is 10\u2076.", None, "10", "1000000"),
    ("The answer is 1e999999999.", None, "999999999.", None),
    ("The answer is 2^99999.", None, "99999.", None),
    ("The answer is 18 cm\xb2.", None, "18", "18"),
    ("The answer is 2^x.", None, "2", None),
    ("The answer is 1 234.", None, "234.", "1234"),
    ("The answer is 12\u202f345 people.", None, "345", "12345"),
    ("The answer is 12\xa0345 people.", None, "345", "12345"),
    ("The answer is 1\u2009234\u2009567.", None, "567.", "1234567"),
    ("The answer is 1'234'567.", None, "567.", "1234567"),
    ("The answer is 1\u2019234.50.", None, "234.50.", "1234.5"),
    ("The answer is 1,234,567.", None, "1,234,567.", "1234567"),
    ("The answer is 12,34,567 rupees.", None, "12,34,567", "1234567"),
    ("The answer is 1_000_000.", None, "000.", "1000000"),
    ("The answer is 1.234.567.", None, "1.234.567.", "1234567"),
    ("The answer is 1,000,00.", None, "1,000,00.", None),
    ("The answer is 1.2.3.", None, "1.2.3.", None),
    ("The answer is 1&nbsp;234.", None, "234.", "1234"),
    ("The answer is 1,234.", None, "1,234.", "1234"),
    ("#### 1.234,50", "1.234,50", "1.234,50", "1234.5"),
    ("#### 12,5", "12,5", "12,5", "12.5"),
    ("#### 0,125", "0,125", "0,125", "0.125"),
    ("The answer is 1 234,5 \u20ac.", None, "234,5", "1234.5"),
    ("The answer is \u20ac1.234.", None, "1.234.", None),
    ("The answer is 1.234 \u20ac.", None, "1.234", None),
    ("The answer is 1.234.", None, "1.234.", "1.234"),
    ("The answer is 1.234,56 Euro.", None, "1.234,56", "1234.56"),
    ("The answer is 3\u066b5.", None, "5.", "3.5"),
    ("The answer is $2.5 million.", None, "$2.5", "2500000"),
    ("The answer is 2.5k dollars.", None, "2.5", "2500"),
    ("The answer is $3bn.", None, "$3", "3000000000"),
    ("The answer is $5m.", None, "$5", "5000000"),
    ("The answer is 5 m.", None, "5", "5"),
    ("The answer is 12 thousand people", None, "12", "12000"),
    ("The answer is 2 lakh.", None, "2", "200000"),
    ("The answer is \xa33.20", None, "3.20", "3.2"),
    ("The answer is -$5.", None, "-$5.", "-5"),
    ("The answer is $-5.", None, "-5.", "-5"),
    ("The answer is US$5.", None, "$5.", "5"),
    ("The answer is Rs. 50.", None, "50.", "50"),
    ("The answer is Rs50.", None, "50.", "50"),
    ("The answer is 300 K.", None, "300", "300"),
    ("The answer is 1.2\u4e07.", None, "1.2", "12000"),
    ("The final answer is: **$1,200.50**. Check: 3", None, "3", "1200.5"),
    ("The answer is 5\u20ac.", None, "5", "5"),
    ("The answer is - 5.", None, "5.", "-5"),
    ("The answer is **-5** degrees.", None, "-5", "-5"),
    ("#### \u22127", None, "7", "-7"),
    ("ANSWER: -7\n(8 people)", None, "8", "-7"),
    ("The answer is +5.", None, "5.", "5"),
    ("The answer is \xb15.", None, "5.", None),
    ("So x = - 5", None, "5", "-5"),
    ("Left:\n- 5 apples", None, "5", "5"),
    ("Apples - 5", None, "5", None),
    ("covid-19", None, "-19", "19"),
    ("The answer is 50%.", None, "50", "50"),
    ("The answer is 12.5 %", None, "12.5", "12.5"),
    ("The answer is 50 percent.", None, "50", "50"),
    ("The answer is \u0663\u0664.", None, None, "34"),
    ("The answer is \uff11\uff12.", None, None, "12"),
    ("The answer is \u0967\u0968.", None, None, "12"),
    ("The answer is \uff11\uff0c\uff12\uff13\uff14.", None, None, "1234"),
    ("The answer is 3-5 days.", None, "-5", None),
    ("It takes 3-5 days.", None, "-5", None),
    ("It takes 3-5 days, so at most 5.", None, "5.", "5"),
    ("The answer is 3 to 5.", None, "5.", None),
    ("The answer is 3 or 4.", None, "4.", None),
    ("The answer is between 3 and 5.", None, "5.", None),
    ("The answer is 3:30.", None, "30.", None),
    ("He leaves at 3:30.", None, "30.", None),
    ("The answer is 2:3.", None, "3.", None),
    ("The answer is 5 feet 6 inches.", None, "6", None),
    ("It costs 3 dollars and 50 cents.", None, "50", None),
    ("2 hours 30 minutes", None, "30", None),
    ("On 2020-01-05", None, "-05", None),
    ("Total = 18 - 3", None, "3", None),
    ("The answer is 3x.", None, "3", None),
    ("The answer is 0x1F.", None, "1", None),
    ("The answer is 0.333...", None, "0.333...", None),
    ("Call 555-1234", None, "-1234", None),
    ("2 x 9", None, "9", None),
    ("The answer is 3, 4 and 5.", None, "5.", None),
    ("The answer is 5\u03c0.", None, "5", None),
    ("The answer is 3\u221a2.", None, "2.", None),
    ("The answer is 3 \xd7 4 = 12", None, "12", "12"),
    (r"The answer is $3 \times 4 = 12$. There are 5 more", None, "5", "12"),
    ("Check our answer: 70 + 40 = 110", None, "110", "110"),
    ("answer: 12.", None, "12.", "12"),
    ("answer: 12.0", None, "12.0", "12"),
    ("The answer is 007.", None, "007.", "7"),
    ("18...", None, "18...", "18"),
    ("It is .5 now", None, ".5", "0.5"),
    ("The answer is twelve. He had 3 and 4", None, "4", "12"),
    ("He had 3 and 4. The answer is twelve.", None, "4.", "12"),
    ("The answer is twenty-one apples.", None, None, "21"),
    ("Answer: In 5 days she has walked 200 minutes.", None, "200", "200"),
    ("Answer:\n\n**18**\n(5 people)", None, "5", "18"),
    ("Area is 5 cm^2", None, "2", "5"),
    ("Water is H2O, 3 of them", None, "3", "3"),
    ("3 of them, H2O", None, "2", "3"),
    ("#### Step 2\nThe total is 18", None, "18", "18"),
    ("There are 18.\n3. Done", None, "3.", "18"),
    ("The answer is not 5. It is 6", None, "6", "6"),
    ("Day 1 200 apples", None, "200", None),
    ("No idea.", None, None, None),
    ("", None, None, None),
    ("The answer is " + "9" * 5000, None, "9" * 5000, None),
    ("The answer is 18 dollars (12 + 6).", None, "6", "18"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "strict", "flexible", "value"), TABLE)
def test_what_three_extractors_take(
    text: str, strict: str | None, flexible: str | None, value: str | None
) -> None:
    names: tuple[ExtractorName, ...] = ("strict", "flexible")
    assert [EXTRACTORS[name](text).answer for name in names] == [strict, flexible]
    answer = chat(text).answer
    assert (None if answer is None else canonical(answer)) == value
    if value is not None:
        assert is_correct("chat", answer, f"#### {value}")


def test_the_table_is_long_enough() -> None:
    assert len({row[0] for row in TABLE}) >= 120


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The answer is 3-5 days.", UNCLEAR),
        (r"\boxed{3, 4}", UNCLEAR),
        ("He leaves at 3:30.", UNCLEAR),
        ("No number here.", NOTHING),
    ],
)
def test_what_is_ambiguous_is_no_answer_and_is_told_apart(text: str, found: Extracted) -> None:
    assert chat(text) == found == Extracted.parse(str(found))
    assert not is_correct("chat", found.answer, "3")


@pytest.mark.parametrize(
    ("gold", "value"),
    [
        ("Sum\n#### 1,234", "1234"),
        ("#### 1.234,50", "1234.5"),
        ("#### 3/4", "0.75"),
        ("1/3", "1/3"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1e+22", "1" + "0" * 22),
        ("so\nA: 18", "18"),
        ("#### $1.5 million", "1500000"),
        ("3-5", "3-5"),
        ("#### 1,00,0", "1,00,0"),
    ],
)
def test_reference_answers_are_read_as_answers_are(gold: str, value: str) -> None:
    assert gold_number(gold) == value


def test_a_tolerance_is_a_rule_with_a_value() -> None:
    near = Tolerance(rule="relative", value=0.001)
    assert near.name == "relative-0.001" and Tolerance(rule="exact").name == "exact"
    assert is_correct("chat", "33.33", "33.333333333333336", near)
    assert is_correct("chat", "0.3", "0.30000000000000004", Tolerance(rule="relative", value=1e-9))
    assert not is_correct(
        "chat", "33.3", "33.333333333333336", Tolerance(rule="absolute", value=0.01)
    )
    assert not is_correct("chat", "33.33", "33.333333333333336")
    assert is_correct("chat", "0.1", "0.2", Tolerance(rule="absolute", value=0.1))
    assert not is_correct("chat", None, "0.2", near) and not is_correct("chat", "some", "0.2", near)
    assert [needs_tolerance(gold) for gold in ("7", "0.25", "0.125", "1/3")] == [
        False,
        False,
        True,
        True,
    ]
