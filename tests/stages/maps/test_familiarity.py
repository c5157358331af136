"""What a host never learned from is flagged in the record, in the bundle and where it is used."""

import numpy as np
import pytest

from interlingua.models.bundle.nla import NLA
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find
from interlingua.store.familiarity import read_familiarity
from interlingua.world.text import telling_of

pytestmark = pytest.mark.slow

STAGES = {stage.name: stage for stage in graph_of(world_mini())}
TAG = "toy-gpt2-medium"


@pytest.fixture(scope="module")
def artifact(mini_nla_root):
    return find(STAGES[f"familiarity/{TAG}"], mini_nla_root)


@pytest.fixture(scope="module")
def nla(mini_nla_root):
    return NLA.load(find(STAGES["bundle/world_mini"], mini_nla_root).path)


def test_new_passages_are_familiar_and_other_texts_are_not(artifact):
    """Also to a host of twenty steps: what it reads is a mean of token embeddings, nearly."""
    metrics = artifact.record.metrics
    assert metrics["dev/unlike_low"] < 0.05 and 0.3 < metrics["dev/share_nearer"] < 0.7
    for kind in ("code", "french", "noise", "random_vector"):
        assert metrics[f"{kind}/unlike_n"] == 100
        assert metrics[f"{kind}/share_nearer"] > 0.8


def test_an_nla_says_so_of_the_text_that_it_explains(nla, artifact):
    new = [
        telling_of(index, world_mini().passages.corpus.world).text for index in range(9000, 9020)
    ]
    known = [one for (one,) in nla.verbalize(texts=new, host=TAG, max_new_tokens=4)]
    assert sum(one.is_unlike for one in known) <= 2
    assert all(0 <= one.share_nearer <= 1 for one in known)
    noise_D = np.random.default_rng(0).normal(size=32)
    [[unlike]] = nla.verbalize(noise_D, TAG, max_new_tokens=4)
    assert unlike.is_unlike
    assert unlike.raw_text  # written all the same, and marked
    np.testing.assert_array_equal(
        read_familiarity(artifact.path).distances_Q, nla.maps.familiarity[TAG].distances_Q
    )
