"""Passages of a small world with literal numbers, so that a recipe may move without the tests."""

import pytest

from interlingua.specs.splits import Split
from interlingua.specs.world import WorldSpec
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id
from interlingua.world.text import Telling, telling_of


@pytest.fixture(scope="session")
def world():
    return WorldSpec(
        seed=0,
        second_language_share=0.2,
        problem_share=0.9,
        quote_share=0.3,
        framed_share=0.3,
        min_sentences=2,
        max_sentences=5,
        largest_number=9,
    )


@pytest.fixture(scope="session")
def told(world) -> list[Telling]:
    """The first passages of the world."""
    return [telling_of(index, world) for index in range(2000)]


@pytest.fixture(scope="session")
def passages(told) -> list[Passage]:
    """The same, as a stage reads them."""
    return [
        Passage(
            passage_id=passage_id(telling.text),
            document_id=passage_id(telling.text),
            split=Split.PRETRAIN,
            text=telling.text,
            facts=telling.as_strings(),
            mentions=telling.mentions,
        )
        for telling in told
    ]
