"""The text itself in place of an explanation: what was read, and no more words than that has."""

import pytest

from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split, SplitSpec
from interlingua.stages.nla.block_verbalizer import _sources
from interlingua.stages.nla.known_texts import last_words, text_of_row
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, write_passages
from interlingua.store.rows.splits import SplitAccess, passage_id, split_of

TEXT = "The farmer sold  his hens. Nobody wept!  It rained on the harbour"


def passage(text, document_id=None):
    identity = passage_id(text)
    return Passage(
        passage_id=identity,
        document_id=document_id or identity,
        split=Split.TEST,
        text=text,
        facts={},
        mentions=(),
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, "the harbour"), (3, "on the harbour"), (99, TEXT), (12, TEXT), (0, TEXT)],
)
def test_last_words_are_as_many_as_asked_and_as_they_stand(count, expected):
    assert last_words(TEXT, count) == expected


def test_the_space_between_words_stays_as_it_is():
    assert last_words("a  b \n c", 2) == "b \n c"


def test_a_row_of_a_sentence_is_that_sentence_and_a_pooled_one_the_passage():
    assert text_of_row(passage(TEXT), -1) == TEXT
    assert text_of_row(passage(TEXT), TEXT.index("Nobody")) == "Nobody wept!"
    with pytest.raises(ValueError, match="no sentence begins at character 3"):
        text_of_row(passage(TEXT), 3)


SPEC = SplitSpec(seed=1, pretrain=0.1, av_sft=0.1, ar_sft=0.1, rl=0.1, fit=0.1, dev=0.1, test=0.4)


class Turn:
    """A turn whose AV is given another row's vector."""

    predictor, split = Predictor.SHUFFLED_VECTORS, Split.TEST


class Stored:
    """An artifact with passages."""

    def __init__(self, path):
        self.path = path


@pytest.mark.parametrize("seed", range(8))
def test_a_shuffled_vector_is_never_of_the_same_document(seed, tmp_path):
    """By passage it would be: documents here have three passages each."""
    names = [n for n in (f"document {i}" for i in range(20)) if split_of(n, SPEC) == Split.TEST]
    passages = [passage(f"{name} {part}", name) for name in names[:3] for part in range(3)]
    write_passages(tmp_path / PASSAGES_NAME, passages, split_spec=SPEC)
    document = {one.passage_id: one.document_id for one in passages}
    keys = [(one.passage_id, -1) for one in passages]
    access = SplitAccess({Split.TEST})
    sources = _sources(Turn(), keys, seed, Stored(tmp_path), access)
    assert sorted(sources) == sorted(keys)
    for (own, _), (other, _) in zip(keys, sources, strict=True):
        assert document[own] != document[other]


def test_without_passages_nothing_is_shuffled():
    with pytest.raises(ValueError, match="passages is None, but a turn is shuffled_vectors"):
        _sources(Turn(), [("p", -1)], 0, None, SplitAccess({Split.TEST}))
