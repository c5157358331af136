"""Every term of art is defined in one table, and found where it stands."""

import re

import pytest
from tests.report.conftest import record_of, stored
from tests.report.tables.test_reinforced import METRICS

from interlingua.report.page.rendering import linked
from interlingua.report.page.sections import sections_of
from interlingua.report.page.terms import terms_by_group, terms_by_spelling, terms_in
from interlingua.report.tables import columns
from interlingua.report.tables.columns import Column
from interlingua.report.tables.material import read_material
from interlingua.report.tables.rl_runs import COLUMNS
from interlingua.specs.evaluation import PLAIN, GateName
from interlingua.store.progress import MetricsLog

# Words of a column that mean what they mean everywhere.
PLAIN_WORDS = {
    "state", "found", "bound", "what it says", "stages", "time, sum", "longest", "peak memory",
    "which", "made of", "workers", "each", "device", "role", "phase", "run", "what", "kind",
    "gates", "ended by", "named", "true", "texts", "share",
}  # fmt: skip


def names_a_term(text: str) -> bool:
    return any(term is not None for _, term in terms_in(text))


def test_every_gate_and_predictor_has_a_meaning():
    assert {gate.value for gate in GateName} <= terms_by_spelling().keys()
    missing = [words for words in PLAIN.values() if not names_a_term(words)]
    assert missing == []


def test_every_column_of_the_universal_table_has_a_meaning():
    groups = [one for one in vars(columns).values() if isinstance(one, tuple)]
    titles = [one.title for group in groups for one in group if isinstance(one, Column)]
    assert len(titles) > 40
    assert [title for title in [*titles, *COLUMNS] if not names_a_term(title)] == []


@pytest.mark.slow
def test_every_term_of_a_column_of_the_page_is_defined(tmp_path, evaluated):
    run = stored(tmp_path, record_of("rl", "both-0", metrics=METRICS))
    MetricsLog(run.path, resume_step=0).append(1, reward=-1.0)
    material = read_material("world", evaluated(is_rewarded=True), [run])
    titles = {
        title
        for section in sections_of(material)
        for grid in section.grids
        for title in (*grid.columns, *grid.labels)
    }
    assert len(titles) > 40
    unknown = {one for one in titles - PLAIN_WORDS if not names_a_term(one)}
    assert unknown == {"both-0"}  # the name of a run
    assert [one for one in PLAIN_WORDS if names_a_term(one)] == ["gates"]


def test_a_spelling_is_of_one_term_and_a_meaning_is_a_sentence():
    terms = [term for group in terms_by_group().values() for term in group]
    spellings = [one for term in terms for one in (term.name, *term.also)]
    assert sorted({one for one in spellings if spellings.count(one) > 1}) == []
    keys = [term.key for term in terms]
    assert len(set(keys)) == len(keys)
    assert [term.name for term in terms if not term.meaning.endswith(".")] == []


def test_the_longest_term_is_found_and_only_in_whole_words():
    found = [(text, term.name) for text, term in terms_in("constant vector, constants") if term]
    assert found == [("constant vector", "constant vector")]
    assert not names_a_term("devices of toy-greedy runs/greedy")
    assert "".join(text for text, _ in terms_in("a greedy, sampled (T=1) text")) == (
        "a greedy, sampled (T=1) text"
    )


def test_a_term_is_linked_once_and_text_stays_text():
    seen = []
    first = str(linked("greedy <b> & greedy", seen))
    assert first == '<a class="term" href="#term-greedy">greedy</a> &lt;b&gt; &amp; greedy'
    assert str(linked("greedy", seen)) == "greedy"
    assert re.fullmatch(r"[\w-]+", next(iter(terms_by_spelling().values())).key)
