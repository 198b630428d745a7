"""Labels beside points: none on another, and none that would have to be."""

from itertools import combinations

from matplotlib.figure import Figure

from trimtab.reports.draw.labels import Mark, place_labels


def test_no_label_lies_on_another() -> None:
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.set(xlim=(0, 6), ylim=(-0.1, 0.15))
    marks = [
        Mark(0.1 + 0.01 * i, 0.01 * (i - 3), -0.06, 0.14, f"{0.1 * i:+.1f}", "black")
        for i in range(9)
    ]
    place_labels(axes, [*marks, Mark(5.5, 0.0, None, None, "alone", "black")])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert "alone" in [text.get_text() for text in axes.texts] and len(boxes) >= 4
    for one, other in combinations(boxes, 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(width, height) < 1.0, "less than a pixel in common"
