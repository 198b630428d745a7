"""What a page explains: the words that stand on it."""

from trimtab.reports.draw.tables import Table
from trimtab.reports.page.content import Page
from trimtab.reports.page.glossary import GLOSSARY

TERMS = (
    ("two_option", "Averaged over both orders."),
    ("random, pooled", "Averaged over draws."),
    ("read / all", "Grades that were read, or all."),
)


def explained(**parts) -> list[str]:
    page = Page(name="a", recipe="r", seed=0, models=("m",), terms=TERMS, **parts)
    return [term for term, _ in page.glossary[len(GLOSSARY) :]]


def test_only_words_of_the_page_are_explained() -> None:
    table = Table("t", "Random choice", ("selector", "Δ two_option"), (("random", "1"),))
    assert explained(finding="Nothing.") == []
    assert explained(finding="Nothing.", results=(table,)) == ["two_option"]
    assert explained(finding="All differ from random, pooled.") == ["random, pooled", "read / all"]
