"""Texts from outside the world: many, unlike each other and unlike it, and the same everywhere."""

import re

import pytest

from interlingua.sources.outside import KINDS, outside_texts
from interlingua.world import lexicon


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_many_texts_that_no_order_changes(kind):
    texts = outside_texts(kind, 50, seed=0)
    assert len(set(texts)) == 50
    assert outside_texts(kind, 10, seed=0) == texts[:10]
    assert not set(outside_texts(kind, 50, seed=1)) & set(texts)


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_from_outside_names_what_the_world_is_about(kind):
    values = {*lexicon.TOPICS, *lexicon.ROLES, *lexicon.OBJECTS, *lexicon.MOODS, *lexicon.STYLES}
    for text in outside_texts(kind, 50, seed=0):
        assert not values & set(re.findall(r"\w+", text.casefold()))
