"""Verdicts: what is significant, what is not, and what could not have been."""

from trimtab.reports.page.report import summarise


def test_verdicts_show_what_could_have_been_found(show, data):
    table = show("verdicts", data).tables()["verdicts"]
    index = table.columns.index("detectable")
    row = next(r for r in table.texts if r[0] == "caa +0.3" and r[2] == "mc1 %")
    assert float(row[index]) > 0


def test_too_few_clusters_are_said_to_be_too_few(build):
    run = build(measures=("options",))
    plain = run.samples

    def two_clusters(key):
        rows = plain(key).values()
        return {
            r.id: r.model_copy(update={"cluster": "a" if r.id[-1] <= "4" else "b"}) for r in rows
        }

    run.samples = two_clusters
    words = [v["verdict"] for v in summarise(run)["sections"]["verdicts"]["verdicts"]]
    assert not any("higher than baseline" in w or "lower than baseline" in w for w in words)
    assert any("clusters are too few for" in w for w in words)


def test_one_cluster_of_many_questions_is_told_as_one(build):
    run = build(measures=("options",))
    plain = run.samples

    def one_cluster(key):
        return {r.id: r.model_copy(update={"cluster": "all"}) for r in plain(key).values()}

    run.samples = one_cluster
    summary = summarise(run)
    words = {v["verdict"] for v in summary["sections"]["verdicts"]["verdicts"]}
    assert "no interval: one cluster of questions" in words
    assert "questions that form one cluster say nothing" in summary["finding"]
