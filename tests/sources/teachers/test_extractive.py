"""The teacher by rule: the same words of the same texts, and nothing from behind the site."""

import os

import pytest
import torch
from tests.word_model import save_word_model
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model, PreTrainedTokenizerFast

from interlingua.models.hosts.next_tokens import NextTokens
from interlingua.sources.source import Site, teacher_of
from interlingua.sources.teachers import extractive
from interlingua.sources.teachers.extractive import words
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExtractiveTeacher
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id

WHOLE = Site(position=-1, span=None)
CORPUS = [
    "The lamp is lit and the door is open.",
    "The rain fell and the river rose.",
    "The door is red and the lamp is old.",
    "The harvest of barley failed. The miller of Ostrava sold the mill, and the door is shut.",
]


def passage(text, split=Split.FIT):
    identity = passage_id(text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=split,
        text=text,
        facts={},
        mentions=(),
    )


PASSAGES = [passage(text) for text in CORPUS]
MILLER = PASSAGES[3]


def teacher(passages=PASSAGES, host=None, **spec):
    made = teacher_of(ExtractiveTeacher(**spec), host=host)
    made.prepare(passages)
    return made


def texts(made, of=MILLER, site=WHOLE, num_samples=20):
    (texts,) = made.explain([(of, site)], num_samples)
    return [text for _, text in texts]


def test_rare_words_are_named_and_common_ones_are_not():
    found = " ".join(texts(teacher(words_around=1, salient_words=6)))
    for word in ("barley", "failed", "harvest", "mill", "miller"):
        assert word in found
    assert "door" not in found and " and" not in found


def test_words_around_are_the_last_ones_with_what_stands_between_them():
    for text in texts(teacher(words_around=6)):
        assert '"the mill, and the door is shut"' not in text
        assert '"mill, and the door is shut."' in text


def test_every_sample_differs_and_is_the_same_again():
    one, other = texts(teacher()), texts(teacher())
    assert one == other
    assert len(set(one)) > 15
    assert texts(teacher(), num_samples=3) == one[:3]
    assert texts(teacher(seed=1)) != one


def test_another_site_or_passage_is_worded_otherwise():
    made = teacher()
    at = Site(position=5, span=(0, len(MILLER.text)), is_token=True)
    assert texts(made, site=at) != texts(made)


def test_nothing_from_behind_the_site_is_named():
    end = MILLER.text.index(" failed")
    made = teacher(words_around=2)
    for text in texts(made, site=Site(position=4, span=(0, end), is_token=True)):
        assert '"of barley"' in text
        assert not any(word in text for word in ("failed", "miller", "Ostrava", "door"))


def test_of_a_sentence_the_words_around_are_its_own_and_rare_ones_those_so_far():
    start = MILLER.text.index("The miller")
    site = Site(position=start, span=(start, len(MILLER.text)))
    first = Site(position=0, span=(0, start - 1))
    found = texts(teacher(words_around=50, salient_words=20), site=site)
    assert all('"The miller of Ostrava sold' in text for text in found)
    assert any("barley" in text for text in found)  # from the sentence before
    assert not any("miller" in text for text in texts(teacher(), site=first))


def test_ties_are_alphabetical_and_case_is_as_first_written():
    made = teacher([passage("x y"), passage("z")], words_around=1, salient_words=2)
    tied = passage("Zebra apple zebra Mango apple kiwi")
    shown = [text for text in texts(made, tied) if "," in text]
    assert shown and all("apple, Zebra" in text for text in shown)


def test_counting_is_over_one_split_whatever_is_explained():
    others = [passage("barley barley everywhere", Split.DEV), passage("barley", Split.TEST)]
    assert texts(teacher([*PASSAGES, *others])) == texts(teacher())
    assert teacher().prepares_on == (Split.FIT,)
    assert teacher([*PASSAGES, *others]).counts()["num_passages_counted"] == len(PASSAGES)


def test_without_counted_passages_the_most_frequent_words_come_first():
    made = teacher([], words_around=1, salient_words=1)
    assert all("the" in text.casefold() for text in texts(made))


def test_the_name_is_that_of_the_spec():
    [[(name, _)]] = teacher().explain([(MILLER, WHOLE)], 1)
    [[(other, _)]] = teacher(seed=1).explain([(MILLER, WHOLE)], 1)
    assert name.startswith("extractive-") and len(name) == len("extractive-") + 12
    assert name != other


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't stop: 3 x_1!", ["don't", "stop", "3", "x_1"]),
        ("Straße naïve", ["Straße", "naïve"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("добрый день", ["добрый", "день"]),
        ("今天天气很好。abc", ["今天", "天气", "很好", "abc"]),
        ("สวัสดี", ["สว", "ัส", "ดี"]),
        ("... !", []),
    ],
)
def test_words_of_any_script(text, expected):
    assert words(text) == expected


def test_a_text_without_words_is_quoted_and_an_empty_one_counted():
    made = teacher()
    [text] = texts(made, passage("?! ..."), num_samples=1)
    assert '"?! ..."' in text
    assert made.explain([(passage("  "), WHOLE)], 2) == [[]]
    assert made.counts()["num_without_explanation"] == 1


def test_words_met_once_are_forgotten_beyond_the_bound(monkeypatch):
    monkeypatch.setattr(extractive, "MOST_WORDS", 20)
    many = [passage(f"common w{i} v{i}") for i in range(200)]
    made = teacher(many)
    assert made.counts()["num_words"] <= 22
    assert made._num_passages_with["common"] == 200


class Parrot:
    """Says the last word again, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def next_text(self, texts, num_tokens):
        self.asked.append(list(texts))
        return [f"{text.split()[-1]} {num_tokens}\n" for text in texts]


def test_next_tokens_are_asked_for_together_and_once():
    host = Parrot()
    made = teacher(host=host, next_tokens=4)
    found = made.explain([(one, WHOLE) for one in (*PASSAGES, PASSAGES[0])], 2)
    assert [len(asked) for asked in host.asked] == [4] and found[0] == found[-1]
    (of_miller,) = made.explain([(MILLER, WHOLE)], 3)
    assert all('"shut. 4"' in text for _, text in of_miller)
    host.asked.clear()
    site = Site(position=4, span=(0, MILLER.text.index(" failed")), is_token=True)
    assert all('"barley 4"' in text for text in texts(made, site=site))
    assert host.asked == [["The harvest of barley"]]


def test_next_tokens_need_a_host():
    with pytest.raises(ValueError, match="ExtractiveTeacher.next_tokens is 4, but no host.*to 0"):
        teacher_of(ExtractiveTeacher(next_tokens=4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model whose vocabulary is words."""
    path = tmp_path_factory.mktemp("model")
    words = ["the", "lamp", "is", "lit", "and", "rain", "fell", "on", "a", "red", "door"]
    save_word_model(path, words, num_blocks=2, num_positions=12, scale=3)  # far from ties
    return path


def greedy(folder, text, num_tokens):
    """One text alone, token by token."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model, ids = GPT2LMHeadModel.from_pretrained(folder).eval(), tokenizer(text)["input_ids"]
    start = len(ids)
    for _ in range(num_tokens):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    return tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_a_model_goes_on_as_it_does_with_one_text_alone(folder):
    host = NextTokens(str(folder), revision=None, device="cpu", batch_rows=2)
    several = ["the lamp", "rain fell on a red door", "a", "lit and red", "the rain is on"]
    assert host.next_text(several, 3) == [greedy(folder, text, 3) for text in several]
    assert host.next_text([], 3) == []


def test_of_a_long_text_the_end_counts(folder):
    host = NextTokens(str(folder), revision=None, device="cpu", batch_rows=2)
    long = "door red " * 20 + "the lamp is lit"
    assert host.next_text([long], 3) == [greedy(folder, " ".join(long.split()[-9:]), 3)]


def test_a_model_without_a_head_is_refused(folder, tmp_path):
    config = GPT2Config.from_pretrained(folder, tie_word_embeddings=False)
    GPT2Model(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        os.link(folder / name, tmp_path / name)
    with pytest.raises(ValueError, match="saved without the head that says the next token: set"):
        NextTokens(str(tmp_path), revision=None, device="cpu", batch_rows=2)
