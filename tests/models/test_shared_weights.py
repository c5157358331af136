"""What models have in common is in memory once, and goes with the last of them."""

import gc
import weakref

import pytest
import torch
from torch import nn

from interlingua.models.bundle.nla import NLA
from interlingua.models.bundle.proved import ProvedBundle
from interlingua.models.bundle.shared_weights import LEAST_BYTES, SharedWeights, frozen

TEXTS = ["dear friend, there was rain at the harbor.", "the farmer carried a basket."]
SIZE = 64


def layer(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(SIZE, SIZE, bias=False).requires_grad_(False)


def storages(*models: nn.Module) -> set[int]:
    return {one.untyped_storage().data_ptr() for model in models for one in model.parameters()}


def test_equal_weights_are_shared_and_unequal_ones_are_not() -> None:
    shared, first, equal, other = SharedWeights(), layer(0), layer(0), layer(1)
    nearly = layer(0)
    nearly.weight.data[-1, -1] += 1e-6  # behind the values that are looked at first
    given_back = [shared.share(one.parameters()) for one in (first, equal, other, nearly)]
    assert given_back == [0, 4 * SIZE**2, 0, 0]
    assert len(storages(first, equal, other, nearly)) == 3
    assert torch.equal(first.weight, equal.weight) and not torch.equal(first.weight, nearly.weight)
    assert shared.share(equal.parameters()) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_another_dtype_is_not_shared(dtype) -> None:
    shared, first, other = SharedWeights(), layer(0), layer(0).to(dtype)
    assert [shared.share(one.parameters()) for one in (first, other)] == [0, 0]


def test_the_last_of_them_takes_them_along() -> None:
    shared, first, second = SharedWeights(), layer(0), layer(0)
    shared.share(first.parameters())
    shared.share(second.parameters())
    gone = weakref.ref(first.weight)
    del first
    gc.collect()
    assert gone() is None
    third = layer(0)  # shares with the second, the first being gone
    assert shared.share(third.parameters()) == 4 * SIZE**2
    assert storages(second) == storages(third)
    gone = weakref.ref(second.weight)
    del second, third
    gc.collect()
    assert gone() is None and shared.share(layer(0).parameters()) == 0


def test_what_is_trained_stays_apart() -> None:
    model = nn.Sequential(layer(0), layer(0).requires_grad_(True))
    assert [one is model[0].weight for one in frozen(model)] == [True]


@pytest.mark.slow
def test_bundles_of_one_trunk_have_it_once_and_write_what_each_wrote_alone(bundle) -> None:
    alone = NLA.load(bundle)
    host = alone.hosts[0]
    expected = alone.verbalize(texts=TEXTS, host=host, max_new_tokens=24)
    rebuilt = alone.reconstruct(["about a farm."], host)
    shared = SharedWeights()
    one, other = (ProvedBundle.of(bundle, "cpu", shared=shared) for _ in range(2))
    avs = [one.av(), other.av()]
    trunks = [list(frozen(av.verbalizer)) for av in avs]
    large = [{w.data_ptr() for w in trunk if w.nbytes >= LEAST_BYTES} for trunk in trunks]
    assert large[0] == large[1] and len(large[0]) > 4
    # The host that is the trunk is no second copy of it, either.
    readers = one.readers()
    mine = {w.data_ptr() for w in readers.reader(one.manifest.anchor).parameters()}
    assert len(mine & large[0]) > 4
    both = NLA(one), NLA(other)
    for nla in both:
        found = nla.verbalize(texts=TEXTS, host=host, max_new_tokens=24)
        assert [[t.raw_text for t in row] for row in found] == [
            [t.raw_text for t in row] for row in expected
        ]
        assert (nla.reconstruct(["about a farm."], host) == rebuilt).all()
