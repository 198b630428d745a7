"""The page against hostile output: nothing a model wrote may leave the block it is stored in."""

import base64
import hashlib
import html.parser
import json
import re
from types import SimpleNamespace

import pytest

from trimtab.reports.data.rows import read_blocks
from trimtab.reports.draw.tables import all_tables
from trimtab.reports.page.browser import to_script
from trimtab.reports.page.html import render_html
from trimtab.reports.sections.effects.figures import write_figures

EVIL = (
    '</script><img src=x onerror="alert(1)"><script>alert(2)</script> <!-- ]]> & &lt; '
    "\u2028\u2029 \ud800 \x00 '\\"
)


@pytest.fixture(scope="module")
def figures(summary, tmp_path_factory):
    return write_figures(summary, tmp_path_factory.mktemp("figures"))


@pytest.fixture
def page(summary, figures):
    """The page of the default run's numbers, with the answers of the run it is given."""

    def render(run, gates=(), **changes):
        content = {**summary, **changes}
        return render_html(content, gates, all_tables(content), [], figures, read_blocks(run))

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


def test_hostile_labels_and_gates_are_escaped(build, page):
    gate = SimpleNamespace(
        name="<b>gate</b>", status="fail", detail="</li><script>alert(1)</script>"
    )
    text = page(build(), [gate], name="<img src=x onerror=alert(1)>")
    tags = [tag for tag, _ in elements(text)[0]]
    assert "img" not in tags and tags.count("script") == 2
    assert "&lt;b&gt;gate&lt;/b&gt;" in text


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
def test_the_worst_gate_colours_the_box(build, page, statuses, worst):
    gates = [SimpleNamespace(name="g", status=status, detail="d") for status in statuses]
    assert f'class="gates {worst}"' in page(build(), gates)
