"""The page against hostile output: nothing a model wrote may leave the block it is stored in."""

import base64
import dataclasses
import hashlib
import html.parser
import json
import re

import pytest
from reported_run import build_run

from trimtab.core.report import Check
from trimtab.reports.data.run import RunData
from trimtab.reports.page.browser import to_script
from trimtab.reports.page.content import Page
from trimtab.reports.page.html import render_html
from trimtab.reports.page.report import Report, chosen_sections

EVIL = (
    '</script><img src=x onerror="alert(1)"><script>alert(2)</script> <!-- ]]> & &lt; '
    "\u2028\u2029 \ud800 \x00 '\\"
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The folder of the default run's figures, and what stands on its page."""
    run = RunData(build_run())
    report, folder = Report(run, chosen_sections(run.plan)), tmp_path_factory.mktemp("figures")
    figures = [figure for figure in report.figures() if figure.write(folder) and figure.plot]
    page = Page(
        name="demo", recipe="r", seed=1, models=("m",), finding=report.finding.text,
        cards=tuple(report.cards()), results=tuple(report.tables("results")),
        figures=tuple(figures), terms=tuple(report.terms()),
    )  # fmt: skip
    return folder, page


@pytest.fixture
def page(parts):
    """The page of the default run's numbers, with the answers of the run it is given."""
    folder, content = parts

    def render(run, checks=(), **changes):
        changed = dataclasses.replace(content, checks=tuple(checks), **changes)
        return render_html(changed, RunData(run), folder)

    return render


def elements(text):
    """Return (tag, attributes) of every element, and the text of each script."""
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, dict(attrs)))
    parser.feed(text)
    return found, re.findall(r"<script[^>]*>(.*?)</script", text, re.DOTALL | re.IGNORECASE)


def test_json_in_a_script_reads_back_and_holds_nothing_an_html_parser_sees():
    written = to_script({"text": EVIL})
    assert not set("<>&\u2028\u2029") & set(written) and written.isascii()
    assert json.loads(written) == {"text": EVIL}


def test_hostile_answers_stay_data(build, page):
    clean, _ = elements(page(build()))
    texts = {("caa +0.6", f"q{i:03d}"): EVIL for i in range(30)}
    found, scripts = elements(page(build(texts=texts)))
    assert [tag for tag, _ in found] == [tag for tag, _ in clean]
    assert not any(name.startswith("on") for _, attributes in found for name in attributes)
    assert len(scripts) == 2
    data = json.loads(scripts[0])
    column = data[0]["conditions"].index("caa +0.6")
    stored = {q["answers"][column][0][0] for q in data[0]["questions"]}
    assert stored <= {EVIL, None} and EVIL in stored


def test_hostile_labels_and_checks_are_escaped(build, page):
    check = Check(name="<b>check</b>", status="fail", detail="</li><script>alert(1)</script>")
    text = page(build(), [check], name="<img src=x onerror=alert(1)>")
    tags = [tag for tag, _ in elements(text)[0]]
    assert "img" not in tags and tags.count("script") == 2
    assert "&lt;b&gt;check&lt;/b&gt;" in text


def test_the_page_needs_nothing_else_and_its_policy_admits_its_script(build, page):
    text = page(build())
    found, scripts = elements(text)
    digest = base64.b64encode(hashlib.sha256(scripts[1].encode()).digest()).decode()
    policy = next(a["content"] for t, a in found if a.get("http-equiv"))
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    sources = [
        a.get("src") or a.get("href") or "" for t, a in found if t in ("script", "link", "img")
    ]
    assert all(source == "" or source.startswith("data:") for source in sources)
    assert not re.search(r"url\((?!#)|@import", text)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_script_never_writes_html(build, page):
    _, scripts = elements(page(build()))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", scripts[1])


def test_missing_answers_and_scores_are_null(build, page):
    run = build(no_completions=("prompt",), no_scores=("rubric-1111",))
    data = json.loads(elements(page(run))[1][0])[0]
    column = data["conditions"].index("prompt")
    assert all(q["answers"][column] == [None] for q in data["questions"])
    truth = [metric["id"] for metric in data["metrics"]].index("truth")
    base = data["conditions"].index("baseline")
    assert all(q["answers"][base][0][3][truth] is None for q in data["questions"])


@pytest.mark.parametrize(("statuses", "worst"), [(["pass", "warn"], "warn"), ([], "none")])
def test_the_worst_check_colours_the_box(build, page, statuses, worst):
    checks = [Check(name="c", status=status, detail="d") for status in statuses]
    assert f'class="checks {worst}"' in page(build(measures=("generation",)), checks)


def test_a_significant_cell_has_its_star_and_its_interval_apart(build, page):
    text = page(build(measures=("generation",)))
    number, interval = r"\s*[^<]+", r' <span class="ci">\[[^<]+\]</span>'
    assert re.search(f'<td class="sure">{number}<b class="star"[^>]*>\\*</b>{interval}', text)
