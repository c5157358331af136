"""Explanations of a file are joined to passages, or refused with file, row, field and remedy."""

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlingua.sources.files import files_of, sha256_of_files
from interlingua.sources.source import Site, teacher_of
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExplanationFile
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id

WHOLE = Site(position=-1, span=None)


def passage(text, row_id):
    identity = passage_id(text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=Split.AV_SFT,
        text=text,
        facts={},
        mentions=(),
        row_id=row_id,
    )


PASSAGES = [passage("the lamp is lit", "a"), passage("rain fell", "b"), passage("a song", "c")]


def spec_of(path, rows, **changed):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ExplanationFile(path=str(path), sha256=sha256, **changed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "explained.jsonl"


def prepared(spec, passages=PASSAGES):
    teacher = teacher_of(spec)
    teacher.prepare(passages)
    return teacher


def row(id, explanation, **more):
    return {"id": id, "explanation": explanation, **more}


def texts(teacher, of, site=WHOLE, num_samples=9):
    (texts,) = teacher.explain([(of, site)], num_samples)
    return [text for _, text in texts]


def test_several_texts_of_a_row_come_in_the_order_of_the_file(path):
    rows = [row("a", "light"), row("b", "weather"), row("a", "a lamp"), row("a", "evening")]
    spec = spec_of(path, rows)
    teacher = prepared(spec)
    assert texts(teacher, PASSAGES[0]) == ["light", "a lamp", "evening"]
    assert texts(teacher, PASSAGES[0], num_samples=2) == ["light", "a lamp"]
    assert teacher.explain([(PASSAGES[1], WHOLE)], 1) == [[(f"file-{spec.sha256[:12]}", "weather")]]


def test_what_has_no_text_is_counted_and_so_are_rows_of_others(path):
    teacher = prepared(spec_of(path, [row("a", "light"), row("z", "of another"), row(7, "too")]))
    assert [texts(teacher, one) for one in PASSAGES] == [["light"], [], []]
    counts = teacher.counts()
    assert (counts["num_explained"], counts["num_without_explanation"]) == (1, 2)
    assert counts["num_of_other_rows"] == 2


def test_whole_numbers_join_numbered_texts(path):
    teacher = prepared(spec_of(path, [row(0, "zero"), row(1, "one")]), [passage("x", "1")])
    assert texts(teacher, passage("x", "1")) == ["one"]


def test_rows_are_joined_by_the_text_itself(path):
    rows = [{"text": "rain fell", "explanation": "weather"}, {"text": "rain", "explanation": "x"}]
    teacher = prepared(spec_of(path, rows, id_field=None))
    assert [texts(teacher, one) for one in PASSAGES] == [[], ["weather"], []]


def test_rows_at_tokens_are_joined_by_position_too(path):
    rows = [row("a", "the lamp", place=2), row("a", "lit", place=4)]
    teacher = prepared(spec_of(path, rows, position_field="place"))
    at = {place: Site(position=place, span=(0, place), is_token=True) for place in (2, 3, 4)}
    assert [texts(teacher, PASSAGES[0], at[place]) for place in at] == [["the lamp"], [], ["lit"]]


@pytest.mark.parametrize(
    "site", [Site(position=3, span=(0, 4), is_token=True), Site(position=0, span=(0, 9))]
)
def test_sites_within_passages_need_a_position_field(path, site):
    teacher = prepared(spec_of(path, [row("a", "light")]))
    with pytest.raises(ValueError, match="ExplanationFile.position_field is none.*name the field"):
        teacher.explain([(PASSAGES[0], site)], 1)


def test_a_teacher_field_names_who_wrote_a_row(path):
    rows = [row("a", "light", by="x"), row("a", "lamp", by="y")]
    spec = spec_of(path, rows, teacher_field="by")
    (found,) = prepared(spec).explain([(PASSAGES[0], WHOLE)], 2)
    names = [name for name, _ in found]
    assert names == [f"x-{spec.sha256[:12]}", f"y-{spec.sha256[:12]}"]


def test_tags_are_left_out(path):
    tagged = "Sure. <explanation>\n light\nof a lamp </explanation> Done."
    teacher = prepared(spec_of(path, [row("a", tagged), row("a", "  plain ")]))
    assert texts(teacher, PASSAGES[0]) == ["light\nof a lamp", "plain"]


def test_identical_rows_are_one_and_counted(path):
    rows = [row("a", "light"), row("a", "light"), row("b", "light")]
    teacher = prepared(spec_of(path, rows))
    assert texts(teacher, PASSAGES[0]) == ["light"]
    assert teacher.counts()["num_repeated"] == 1


def test_only_the_texts_of_the_given_passages_are_held(path):
    rows = [row("a", "light"), *(row(f"other{i}", "x" * 1000) for i in range(100))]
    teacher = prepared(spec_of(path, rows))
    assert list(teacher._found) == [("a", -1)]


def test_parquet_and_several_files_are_read(tmp_path):
    for number, found in enumerate([["a", "c"], ["a", "b"]]):
        table = {"id": found, "explanation": [f"{one}{number}" for one in found]}
        pq.write_table(pa.table(table), tmp_path / f"{number}.parquet")
    files = files_of(str(tmp_path), (".parquet",), field="x")
    teacher = prepared(ExplanationFile(path=str(tmp_path), sha256=sha256_of_files(files)))
    assert [texts(teacher, one) for one in PASSAGES] == [["a0", "a1"], ["b1"], ["c0"]]


@pytest.mark.parametrize(
    ("bad", "changed", "words"),
    [
        (
            {"id": "a"},
            {},
            r"line 2 has no field 'explanation'; name in text_field one that it has: id",
        ),
        ({"explanation": "x"}, {}, r"line 2 has no field 'id'"),
        (row("a", " \n"), {}, r"line 2: explanation is empty; fill it in, or leave the row out"),
        (row("a", None), {}, r"line 2: explanation is null; it must be a text"),
        (row("a", ["x"]), {}, r"line 2: explanation is list; it must be a text"),
        (row(1.5, "x"), {}, r"line 2: id is float; an id is a text or a whole number"),
        (row(True, "x"), {}, r"line 2: id is bool"),
        (row("a", "<explanation> </explanation>"), {}, r"line 2: explanation is empty between"),
        (row("a", "<explanation> cut o"), {}, r"line 2: explanation has <explanation> and no </"),
        (row("a", "x", at="3"), {"position_field": "at"}, r"line 2: at is str; a position is"),
        (row("a", "x", at=-2), {"position_field": "at"}, r"line 2: at is -2; a position is"),
        (row("a", "x", by=3), {"teacher_field": "by"}, r"line 2: by is int; it must be a text"),
    ],
)
def test_a_bad_row_is_named(path, bad, changed, words):
    good = row("a", "light", at=1, by="me")
    with pytest.raises(ValueError, match=words) as error:
        prepared(spec_of(path, [good, bad], **changed))
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_ids_that_do_not_join_are_shown_from_both_sides(path):
    spec = spec_of(path, [row("q17", "x"), row("q18", "y")])
    with pytest.raises(ValueError, match=r"0 of 2 rows of .* are of the 3 passages") as error:
        prepared(spec)
    assert "a row has id 'q17', a passage id 'a'" in str(error.value)
    assert "Name in ExplanationFile.id_field" in str(error.value)


def test_texts_that_do_not_join_are_shown_from_both_sides(path):
    spec = spec_of(path, [{"text": "another one", "explanation": "x"}], id_field=None)
    with pytest.raises(ValueError, match="a row has text 'another one', a passage 'the lamp is"):
        prepared(spec)


def test_a_file_that_changed_or_was_not_pinned_is_refused(path):
    spec = spec_of(path, [row("a", "light")])
    path.write_text(json.dumps(row("a", "dark")))
    with pytest.raises(ValueError, match="ExplanationFile.path.*they have changed"):
        prepared(spec)
    with pytest.raises(ValueError, match="has no sha256: pin the recipe"):
        prepared(ExplanationFile(path=str(path)))


def test_an_empty_file_and_an_empty_split_are_refused(path):
    with pytest.raises(ValueError, match="has no row; name a file of explanations"):
        prepared(spec_of(path, []))
    with pytest.raises(ValueError, match="its split is empty; give it a share in passages.split"):
        prepared(spec_of(path, [row("a", "x")]), [])


def test_an_id_of_two_texts_is_refused(path):
    spec = spec_of(path, [row("a", "x")])
    with pytest.raises(ValueError, match="two texts have the id 'a'.*ExplanationFile.id_field to"):
        prepared(spec, [*PASSAGES, passage("another", "a")])
