"""Texts from elsewhere do nothing in a terminal, a spreadsheet or a Markdown page."""

import pytest

from trimtab.text.escapes import csv_field, markdown, one_line, printable


def test_control_characters_are_shown_and_ordinary_text_is_left() -> None:
    assert printable("Ärger\tüber 漢字 \u22120.5 [1, 2]\n") == "Ärger\tüber 漢字 \u22120.5 [1, 2]\n"
    hostile = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp\ud800"
    shown = printable(hostile)
    assert shown == r"\x1b]0;owned\x07\x1b[2J\x0d\x9b31m\u202egnp\ud800"
    assert one_line("a\nb\x1b[31m") == r"a b\x1b[31m"


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1",
     "\uff1d1+1", "-A1", "+HYPERLINK(1)", "-e1"],
)  # fmt: skip
def test_a_spreadsheet_computes_nothing(formula: str) -> None:
    assert csv_field(formula) == f"'{formula}"


@pytest.mark.parametrize(
    "value",
    [
        "-0.5",
        "+3.3 [+1.2, +5.4]*",
        "-1e-05",
        "+12.5%",
        "-",
        "caa -0.5",
        "a=b",
        "",
        "3",
        "\u22120.5",
    ],
)
def test_values_stay_as_they_are_read(value: str) -> None:
    assert csv_field(value) == value


def test_markdown_holds_no_tag_and_no_link_of_its_own() -> None:
    assert markdown("<img src=x onerror=alert(1)>") == "&lt;img src=x onerror=alert(1)>"
    assert markdown("![x](http://evil/p.png)") == r"![x\](http://evil/p.png)"
    assert markdown("[x]: http://evil\n# title") == r"[x\]: http://evil # title"
    assert markdown("</script><!-- <?php") == "&lt;/script>&lt;!-- &lt;?php"
    assert markdown("p < 0.001, +3.3 [1.2, 5.4]* `trimtab doctor drift`") == (
        "p < 0.001, +3.3 [1.2, 5.4]* `trimtab doctor drift`"
    )
