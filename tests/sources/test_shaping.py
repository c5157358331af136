"""Records become passages: rendered, cut, chosen, each once; what is left out is counted."""

import json
import random
import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest

from interlingua.sources.files import sha256_of_files
from interlingua.sources.seen import SeenIds
from interlingua.sources.shaping import pieces_of, shaped
from interlingua.sources.source import Message, Record
from interlingua.sources.text_files import opened
from interlingua.specs.corpora import ChatTemplate, PassagesSpec, Pieces, TextFiles
from interlingua.specs.splits import SplitSpec
from interlingua.store.rows.passages import Mention
from interlingua.store.rows.splits import passage_id, split_of

SPLIT = SplitSpec(seed=0, pretrain=0.1, av_sft=0.2, ar_sft=0.2, rl=0.1, fit=0.2, dev=0.1, test=0.1)
SPEC = PassagesSpec(corpus=TextFiles(path="texts.jsonl"), split=SPLIT)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)


def records(*texts, **fields):
    return [
        Record(row_id=str(row), text=text, where=f"texts.jsonl, line {row + 1}", **fields)
        for row, text in enumerate(texts)
    ]


def chat(*messages):
    return replace(records("")[0], messages=tuple(Message(role=r, content=c) for r, c in messages))


def passages_of(given, spec=SPEC):
    counts = Counter()
    return list(shaped(given, spec, counts)), +counts


def test_a_record_is_a_passage_as_it_stands():
    [passage], counts = passages_of(records("  Two  spaces.\n", facts={"topic": "farm"}))
    identity = passage_id("  Two  spaces.\n")
    assert (passage.passage_id, passage.document_id) == (identity, identity)
    assert passage.text == "  Two  spaces.\n" and passage.facts == {"topic": "farm"}
    assert passage.split == split_of(identity, SPLIT) and passage.row_id == "0"
    assert counts == {"num_records": 1, "num_passages": 1}


def test_a_passage_has_the_split_of_its_document():
    found, _ = passages_of([replace(r, document_id="corpus:7") for r in records("a b", "c d")])
    assert [p.document_id for p in found] == ["corpus:7"] * 2
    assert {p.split for p in found} == {split_of("corpus:7", SPLIT)}


def test_a_document_is_cut_at_the_ends_of_sentences():
    text = "One two three. Four five! Six seven eight nine ten eleven. Twelve?"
    spec = replace(SPEC, pieces=Pieces(most_words=5))
    found, counts = passages_of(records(text), spec)
    assert [p.text for p in found] == [
        "One two three. Four five!",
        "Six seven eight nine ten",
        "eleven. Twelve?",
    ]
    assert [p.row_id for p in found] == ["0", "0#1", "0#2"]
    assert {p.document_id for p in found} == {passage_id(text)} and counts["num_passages"] == 3
    assert len({p.passage_id for p in found}) == 3


def test_pieces_hold_every_word_once_and_no_more_than_asked():
    rng = random.Random(0)
    text = " ".join(f"w{n}" + rng.choice(["", "", ",", ".", "?\n\n"]) for n in range(3000))
    for most_words in (1, 7, 100):
        pieces = [text[start:end] for start, end in pieces_of(text, most_words)]
        assert " ".join(pieces).split() == text.split()
        assert max(len(piece.split()) for piece in pieces) == most_words


def test_a_character_of_a_script_without_spaces_is_a_word():
    spec = replace(SPEC, pieces=Pieces(most_words=3), least_words=2)
    found, counts = passages_of(records("今日は良い天気。 one two"), spec)
    assert [p.text for p in found] == ["今日は", "良い天", "気。 one two"]
    assert counts["num_passages"] == 3


def test_pieces_beyond_those_of_a_document_are_counted():
    spec = replace(SPEC, pieces=Pieces(most_words=2, per_document=2))
    found, counts = passages_of(records("a b. c d. e f. g h.", "one more."), spec)
    assert [p.text for p in found] == ["a b.", "c d.", "one more."]
    assert counts["num_beyond_per_document"] == 2


def test_pieces_are_counted_over_the_texts_of_a_document():
    spec = replace(SPEC, pieces=Pieces(most_words=2, per_document=2))
    given = [
        replace(record, document_id=document)
        for record, document in zip(
            records("a b.", "c d. e f.", "g h.", "i j.", "k l. m n."), "11122", strict=True
        )
    ]
    found, counts = passages_of(given, spec)
    assert [p.text for p in found] == ["a b.", "c d.", "i j.", "k l."]
    assert counts["num_beyond_per_document"] == 3


def test_mentions_go_with_their_piece():
    text = "A farmer came. A doctor went home."
    mentions = (Mention("role", 2, 8), Mention("action", 9, 24), Mention("other", 17, 23))
    spec = replace(SPEC, pieces=Pieces(most_words=4))
    found, _ = passages_of(records(text, mentions=mentions), spec)
    named = [[(m.fact, p.text[m.start : m.end]) for m in p.mentions] for p in found]
    assert named == [[("role", "farmer")], [("other", "doctor")]]


def test_texts_of_other_lengths_are_left_out_and_counted():
    spec = replace(SPEC, least_words=2, most_words=3)
    found, counts = passages_of(records("one", "", "one two", "a b c", "a b c d"), spec)
    assert [p.text for p in found] == ["one two", "a b c"]
    assert (counts["num_too_short"], counts["num_too_long"]) == (2, 1)


def test_a_text_without_a_word_is_counted_where_texts_are_cut():
    found, counts = passages_of(records(" \n "), replace(SPEC, pieces=Pieces(most_words=2)))
    assert found == [] and counts == {"num_records": 1, "num_too_short": 1}


def test_a_text_that_comes_twice_is_one_passage():
    given = [replace(r, document_id=f"d{r.row_id}") for r in records("a b", "c d", "a b")]
    found, counts = passages_of(given)
    assert [(p.row_id, p.document_id) for p in found] == [("0", "d0"), ("1", "d1")]
    assert counts == {"num_records": 3, "num_passages": 2, "num_repeated": 1}


def test_texts_of_other_languages_are_left_out_and_unsure_ones_apart():
    english = "The house of the farmer is by the river and it was there."
    german = "Das Haus des Bauern ist nicht am Fluss und wird auch von dem Wald verdeckt."
    spec = replace(SPEC, languages=("en",))
    found, counts = passages_of(records(english, german, "Qwx zzt 12."), spec)
    assert [p.text for p in found] == [english]
    assert (counts["num_other_language"], counts["num_unknown_language"]) == (1, 1)


def test_a_language_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="PassagesSpec.languages is 'xx'; allowed: ar, de, en, es"):
        replace(SPEC, languages=("en", "xx"))


def test_a_chat_is_rendered_by_its_template():
    spec = replace(SPEC, chat=ChatTemplate(template=TEMPLATE, add_generation_prompt=True))
    [passage], _ = passages_of(
        [chat(("user", "Who?"), ("assistant", "I."), ("user", "You?"))], spec
    )
    assert passage.text == (
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nI.<|im_end|>\n"
        "<|im_start|>user\nYou?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert passage.document_id == passage_id(passage.text)
    silent = replace(spec.chat, arguments=(("enable_thinking", False),))
    [passage], _ = passages_of([chat(("user", "Who?"))], replace(spec, chat=silent))
    assert passage.text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('no system turn') }}", "TemplateError: no system turn"),
        ("{% for m in messages %}", "TemplateSyntaxError"),
        ("{{ messages[3].content }}", "UndefinedError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
    ],
)
def test_a_template_that_refuses_names_the_row(template, message):
    spec = replace(SPEC, chat=ChatTemplate(template=template))
    with pytest.raises(ValueError, match=f"texts.jsonl, line 1: passages.chat.*{message}"):
        passages_of([chat(("user", "Who?"))], spec)


def test_a_special_token_that_a_template_is_not_given_is_refused_at_once():
    lacking = ChatTemplate(template="{{ bos_token }}{{ messages[0].content }}")
    with pytest.raises(ValueError, match="uses bos_token, and passages.chat.arguments lack it"):
        shaped([], replace(SPEC, chat=lacking), Counter())
    given = replace(lacking, arguments=(("bos_token", "<s>"),))
    [passage], _ = passages_of([chat(("user", "Who?"))], replace(SPEC, chat=given))
    assert passage.text == "<s>Who?"


def test_messages_need_a_template_and_a_template_messages():
    with pytest.raises(ValueError, match="line 1 has messages, .* set passages.chat=chat_template"):
        passages_of([chat(("user", "Who?"))])
    spec = replace(SPEC, chat=ChatTemplate(template=TEMPLATE))
    with pytest.raises(ValueError, match="line 1 has no messages .* set passages.chat=none"):
        passages_of(records("a text"), spec)


def test_what_was_seen_is_known_whatever_the_table_has_grown_to():
    rng, seen, expected = random.Random(0), SeenIds(), set()
    for _ in range(20_000):
        value = rng.choice([rng.getrandbits(64), 1 + rng.getrandbits(13)])
        assert seen.is_new(value) == (value not in expected)
        expected.add(value)
    assert len(seen) == len(expected) > 8192


def test_shaping_holds_some_bytes_a_row(tmp_path):
    # First a few: what is imported on the way is no row's.
    _, less, more = (peak_of_shaping(tmp_path, num_rows) for num_rows in (1, 2_000, 16_000))
    # Texts and names repeat nowhere, so that two tables grow: a set of numbers takes 94.
    assert more - less < 70 * 14_000


def peak_of_shaping(folder, num_rows):
    """The most bytes that are held at once while so many named rows of a file become passages."""
    path = folder / "texts.jsonl"
    rows = ({"id": f"r{n}", "document": f"d{n // 10}", "text": f"a {n}"} for n in range(num_rows))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = {"id_field": "id", "document_field": "document"}
    corpus = TextFiles(path=str(path), sha256=sha256_of_files([path]), **names)
    tracemalloc.start()
    try:
        found = shaped(opened(corpus).records(), replace(SPEC, corpus=corpus), Counter())
        assert sum(1 for _ in found) == num_rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
