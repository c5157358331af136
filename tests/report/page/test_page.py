"""The page: safe against any text, alone, and loud where a gate failed."""

import json
import re

import numpy as np
import pytest

from interlingua.report.figures.plots import Series, dot_plot
from interlingua.report.page import browser
from interlingua.report.page.browser import explanations
from interlingua.report.tables.material import read_material
from interlingua.specs.evaluation import ReportSpec
from interlingua.stages.evaluation import report
from interlingua.store.artifact import lineage
from interlingua.store.provenance import command_of

pytestmark = pytest.mark.slow

PASSED = {
    "name": "leakage", "is_passed": True, "is_accepted": False,
    "value": 0.0, "bound": 0.01, "words": "nothing was trained on",
}  # fmt: skip
HEADINGS = (
    "Gates", "Every host", "Row by row", "Explanations", "Truth", "Ways to fit a decoder",
    "Training", "Time and memory", "Lineage", "Reproduce",
)  # fmt: skip
FAILED = {**PASSED, "name": "collapsed_texts", "is_passed": False, "words": "texts repeat"}
ACCEPTED = {**FAILED, "name": "outlier_host", "is_accepted": True}
HOSTILE = "</script><script>alert('x')</script> & \"q\" <img src=x onerror=alert(1)> ${1} "


def test_the_page_needs_nothing_else(reported) -> None:
    page = (reported() / "report.html").read_text()
    assert re.findall(r"<(?:link|script|img|iframe)[^>]*\b(?:src|href)=\"(?!data:)", page) == []
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\s\"<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    for heading in HEADINGS:
        assert f"<h2>{heading}</h2>" in page
    assert "python -m jobs.run world --root runs" in page
    assert "python -m jobs.recompute runs/evaluation/world-" in page
    assert "0123456789ab with uncommitted changes" in page


def test_colours_are_the_pages_own_and_ids_are_used_once(reported) -> None:
    page = (reported() / "report.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert "var(--ink)" in drawing
        assert (
            re.findall(r"#[0-9a-f]{6}\b", re.sub(r"url\(#\w+\)|href=\"#\w+\"", "", drawing)) == []
        )
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_hostile_text_stays_text(reported) -> None:
    gate = {**FAILED, "words": HOSTILE}
    page = (reported(text=HOSTILE, gates=[gate]) / "report.html").read_text()
    assert "<img" not in page
    assert "<script>alert" not in page
    assert len(re.findall("<script", page)) == len(re.findall("</script>", page)) == 2
    (data,) = re.findall(r'id="explanations-data">(.*?)</script>', page, flags=re.DOTALL)
    assert next(iter(json.loads(data)["passages"].values())).startswith(HOSTILE)


def test_hostile_names_stay_text_in_a_drawing() -> None:
    one = Series(name="<b>$x$", colour=0, y_N=np.array([0.5]))
    plot = dot_plot('a "title" <b>', "", ["<i>$y$"], [one])
    assert "<b>" not in plot.svg
    assert "<i>" not in plot.svg
    assert "&lt;b&gt;$x$" in plot.svg
    assert 'aria-label="a &quot;title&quot; &lt;b&gt;"' in plot.svg


def test_a_failed_gate_is_in_the_headline(reported) -> None:
    page = (reported(gates=[PASSED, FAILED, ACCEPTED]) / "report.html").read_text()
    header = page[page.index("<header>") : page.index("</header>")]
    banner = header[header.index('class="banner bad"') :]
    assert "1 gate failed: collapsed_texts." in banner
    assert "accepted beforehand: outlier_host" in banner
    assert '<td class="words bad">FAILED</td>' in page
    assert '<td class="words warn">failed, accepted</td>' in page


def test_gates_that_passed_are_said_to_have(reported) -> None:
    page = (reported(gates=[PASSED]) / "report.html").read_text()
    assert "Every gate passed." in page
    assert 'class="banner bad"' not in page


def words_of(folder) -> str:
    """What the page says down to the explanations, without its marks."""
    page = (folder / "report.html").read_text()
    body = page[page.index("<header>") : page.index('<section id="explanations">')]
    return " ".join(re.sub(r"<[^>]+>", "", body).split())


def test_the_headline_follows_the_numbers(reported) -> None:
    words = words_of(reported())
    assert (
        "Measured on 60 passages of split test with 5 hosts (1 anchor, 2 trained, 2 held out)"
        in words
    )
    assert "so the AV reads its vector" in words
    assert "Until RL the NLA stays below its teacher" in words
    assert "published" not in words  # its hosts are toys
    assert words.index("How much of an activation do the words carry?") < words.index("Measured on")
    assert "RL gained" not in words
    assert words.index("The words carry 0.") < words.index("Trivial systems carry: bag of words")
    assert words.index("Distinct greedy texts a host: ") < words.index("The vector is read: ")


def test_after_reward_training_it_says_what_was_gained(reported) -> None:
    words = words_of(reported(is_rewarded=True))
    assert "RL gained: " in words
    assert "FVE before and after RL (paired)" in words


def test_the_browser_shows_less_where_all_would_be_too_large(evaluated, monkeypatch) -> None:
    material = read_material("world", evaluated(), ())
    whole = explanations(material, 60)
    assert {len(rows) for rows in whole["rows"].values()} == {60}
    monkeypatch.setattr(browser, "LARGEST_BYTES", len(json.dumps(whole)) // 3)
    part = explanations(material, 60)
    assert {len(rows) for rows in part["rows"].values()} == {15}
    assert part["totals"] == whole["totals"]
    first = [row["passage"] for row in part["rows"]["toy-lfm-7b|greedy"]]
    assert first == [row["passage"] for row in part["rows"]["toy-gpt2-medium|teacher"]]


def test_a_command_is_given_as_it_is_typed() -> None:
    argv = ("/some/where/jobs/run.py", "world", "--set", "av.seed=1 2")
    assert command_of(argv) == "python -m jobs.run world --set 'av.seed=1 2'"
    for program in ("/some/bin/interlingua", "/some/where/interlingua/__main__.py"):
        assert command_of((program, "run", "world")) == "interlingua run world"
    assert command_of(("/usr/bin/pytest", "-q")) == "/usr/bin/pytest -q"


def test_the_stage_writes_the_page_of_all_that_is_upstream(tmp_path, evaluated) -> None:
    evaluation = evaluated()
    out = tmp_path / "report" / "world-0123.partial"
    out.mkdir(parents=True)
    spec = ReportSpec(recipe="world", shown_rows=5)
    metrics = report.run(spec, report.ReportInputs(evaluation, {}, {}, {}), out, None)
    page = out / "report.html"
    assert metrics == {"num_bytes": page.stat().st_size}
    for upstream in lineage(evaluation, tmp_path):
        assert upstream.record.fingerprint in page.read_text()
    assert (out / "numbers.csv").exists()


def test_a_report_shows_some_rows() -> None:
    with pytest.raises(ValueError, match="shown_rows is 0"):
        ReportSpec(recipe="world", shown_rows=0)
