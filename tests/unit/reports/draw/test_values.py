"""Cells are values: written once, never read back."""

import pytest

from trimtab.reports.data.numbers import Estimate, MetricInfo
from trimtab.reports.draw.format import DASH, MINUS, with_interval
from trimtab.reports.draw.values import Count, Value, estimated, is_zero, measured, write_cell


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""), ("words", "words"), (7, "7"), (0.5, "0.50"),
        (Value(None), DASH), (Value(0.625, 0.551, 0.693, "rate"), "62.5 [55.1, 69.3]"),
        (Value(-0.04, -0.09, 0.01, "rate", signed=True), f"{MINUS}4.0 [{MINUS}9.0, 1.0]"),
        (Value(0.04, 0.01, 0.09, "rate", signed=True, significant=True), "+4.0 [1.0, 9.0]*"),
        (Value(-0.00059, -0.015, 0.00013, "rate", signed=True),
         f"{MINUS}0.059 [{MINUS}1.5, 0.013]"),
        (Value(0.0, form="rate", signed=True), "0.0"), (Value(0.004, form="rate"), "0.4"),
        (Value(0.00996, form="rate", signed=True), "+1.0"),
        (Value(28.75, form="points", suffix=" %"), "28.8 %"), (Value(0.00004, form="p"), "<0.001"),
        (Value(1234.5, form=",.0f"), "1,234"), (Value(5, form="d"), "5"),
        (Count(3, 150), "3/150"), (Count(0, 150), "0"),
    ],
)  # fmt: skip
def test_a_cell_is_written_in_one_way(cell, text):
    assert write_cell(cell).text == text


@pytest.mark.parametrize(
    ("cell", "zero"),
    [
        (Value(0.0, form="rate"), True), (Value(0.0004, form="rate"), True),
        (Value(0.0006, form="rate"), False), (Value(0.0004), True), (Value(0.0006), False),
        (Value(0.0, form="points"), True), (Value(None), False), (Value(0.0, -1.0, 1.0), False),
        (Count(0, 9), True), (Count(1, 9), False), (0, True), (1, False), (DASH, False),
        (None, False), ("0", False),
    ],
)  # fmt: skip
def test_zero_is_what_is_written_as_zero(cell, zero):
    assert is_zero(cell) == zero


def test_a_star_stands_apart_from_number_and_interval():
    written = write_cell(Value(0.04, 0.01, 0.09, "rate", significant=True))
    assert (written.number, written.interval, written.star) == ("4.0", "[1.0, 9.0]", True)


def test_the_interval_of_wilson_is_not_called_too_narrow() -> None:
    rate = MetricInfo(id="correct", name="correct", kind="binary", role="effect")
    few = Estimate(mean=0.5, interval=(0.1, 0.9), method="Wilson", num_clusters=6)
    assert not estimated(few, rate).few
    assert estimated(few.model_copy(update={"method": "bootstrap"}), rate).few


def test_a_change_is_written_alike_in_tables_and_in_sentences() -> None:
    for value, interval in ((0.0012, (-0.003, 0.02)), (0.4, (0.004, 0.6)), (0.0, (0.0, 0.0))):
        cell = Value(value, *interval, "rate", signed=True)
        assert write_cell(cell).text == with_interval(value, interval, "rate", sign=True)


@pytest.mark.parametrize(("clusters", "mark"), [(7, "\N{DAGGER}"), (8, ""), (0, "")])
def test_an_interval_over_fewer_than_eight_clusters_is_marked(clusters, mark):
    value = measured(0.5, (0.4, 0.6), "rate", clusters=clusters)
    assert write_cell(value).text == f"50.0 [40.0, 60.0]{mark}"
