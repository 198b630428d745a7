"""Lines about a training: not too many, and with the time that is left."""

from trimtab.training.pace import Intervals, Pace


def test_a_line_now_and_then_says_how_far_it_is_since_this_process_began() -> None:
    time, lines = [0.0], list[str]()
    pace = Pace(lines.append, Intervals(20, lambda: time[0]))
    pace.start(10)
    for step in range(11, 101):
        time[0] += 5
        pace.after(step, 100, [{"step": step, "loss": 1 / step}, {"step": step, "watched": {}}])
    assert len(lines) == 22
    assert lines[0] == "training: 14 of 100 updates, loss 0.0714, 7 min left"
    assert lines[-1] == "training: 98 of 100 updates, loss 0.0102, 10 s left"


def test_a_skipped_update_has_no_loss() -> None:
    time, lines = [0.0], list[str]()
    pace = Pace(lines.append, Intervals(1, lambda: time[0]))
    time[0] = 2
    pace.after(1, 3, [{"step": 1, "loss": None}])
    assert lines == ["training: 1 of 3 updates, 4 s left"]
