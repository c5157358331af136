"""What memory/parameters.py counts is what the real classes hold, built on the meta device."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from interlingua.core.affine import fresh_affine
from interlingua.memory.parameters import ar_size, av_init_size, av_size, linears_of, num_parameters
from interlingua.models.hosts.cut import cut
from interlingua.models.hosts.parts import find_blocks, find_parts
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.trunk import add_lora
from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL, pool_host
from interlingua.recipes.registry import PUBLISHED
from interlingua.specs.hosts import AtBlock, PoolHost
from interlingua.specs.injection import Affine, BiasOnly, Full, LowRank, Shared
from interlingua.specs.training import ArSpec, AvSpec, LoraSpec
from interlingua.world.hosts import published_config

pytestmark = pytest.mark.slow

NOT_ALIKE = {"gemma4_text", "lfm2"}
HOSTS = [h for h in (*UNIVERSAL_POOL, *SINGLE_HOSTS) if h.model_type not in NOT_ALIKE]
TRUNKS = ("qwen3-1p7b", "qwen3-4b", "qwen3-8b", "qwen2p5-7b", "gemma3-27b-it")
AV, AR = PUBLISHED["universal_v6"]().av, PUBLISHED["universal_v6"]().ar
V6_LORA = AV.lora
assert V6_LORA is not None


def meta_model(host: PoolHost) -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(published_config(host))


def meta_av(host: PoolHost, spec: AvSpec, widths: tuple[int, ...] = ()) -> nn.ModuleList:
    """The AV with its affine and the encoders of hosts of these widths."""
    model = meta_model(host)
    with torch.device("meta"):
        if spec.lora is not None:
            add_lora(model, spec.lora, seed=0)
        parts = nn.ModuleList([model])
        if spec.injection.affine is not None:
            num_slots = spec.injection.num_slots
            parts.append(
                fresh_affine(spec.injection.affine, num_slots=num_slots, width=host.width, seed=0)
            )
        parts.extend(nn.Linear(width, host.width, bias=False) for width in widths)
    return parts


def meta_ar(host: PoolHost, spec: ArSpec) -> Reconstructor:
    model = meta_model(host)
    blocks_path = find_blocks(model)
    cut(model, blocks_path, spec.block_index + 1)
    with torch.device("meta"):
        parts = find_parts(model, blocks_path=blocks_path, check=False)
        ar = Reconstructor(model, parts, block_index=spec.block_index, readout=spec.readout)
        if spec.lora is not None:
            add_lora(ar, spec.lora, seed=0)
        ar.value_head.requires_grad_(spec.trains_value_head)
    return ar


def counted(module: nn.Module) -> tuple[int, int]:
    """All parameters and those that are trained."""
    parameters = list(module.parameters())
    trained = [weight for weight in parameters if weight.requires_grad]
    return sum(w.numel() for w in parameters), sum(w.numel() for w in trained)


def lora_on_all(host: PoolHost) -> LoraSpec:
    assert V6_LORA is not None
    return replace(V6_LORA, rank=3, targets=tuple({linear.name for linear in linears_of(host)}))


def every_host(test: Callable) -> Callable:
    return pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.tag)(test)


@every_host
def test_a_whole_model(host: PoolHost) -> None:
    assert num_parameters(host) == counted(meta_model(host))[0]
    assert host.num_parameters in (None, num_parameters(host))


@every_host
def test_an_av_and_an_ar_with_adapters_on_every_linear_layer(host: PoolHost) -> None:
    host = replace(host, num_blocks=4, block=AtBlock(index=2))
    av, ar = replace(AV, lora=lora_on_all(host)), replace(AR, lora=lora_on_all(host), block_index=2)
    found = av_size(host, av, [])
    assert (found.num_parameters, found.num_trained) == counted(meta_av(host, av))
    found = ar_size(host, ar)
    assert (found.num_parameters, found.num_trained) == counted(meta_ar(host, ar))


@pytest.mark.parametrize("tag", TRUNKS)
@pytest.mark.parametrize(
    ("lora", "trains_value_head"), [(None, True), (V6_LORA, False), (V6_LORA, True)]
)
def test_the_roles_of_a_published_trunk(
    tag: str, lora: LoraSpec | None, trains_value_head: bool
) -> None:
    host = pool_host(tag)
    av = replace(AV, lora=lora)
    ar = replace(AR, lora=lora, block_index=host.block_index, trains_value_head=trains_value_head)
    found = av_size(host, av, [pool_host("gpt2-medium"), pool_host("phi-1p5")])
    assert (found.num_parameters, found.num_trained) == counted(meta_av(host, av, (1024, 2048)))
    found = av_init_size(host, av)
    assert (found.num_parameters, found.num_trained) == (counted(meta_av(host, av))[0], 0)
    found = ar_size(host, ar)
    assert (found.num_parameters, found.num_trained) == counted(meta_ar(host, ar))


@pytest.mark.parametrize("affine", [Full(), LowRank(rank=64), Shared(), BiasOnly()])
def test_every_affine(affine: Affine) -> None:
    host = pool_host("qwen3-8b")
    av = replace(AV, injection=replace(AV.injection, num_slots=16, affine=affine))
    found = av_size(host, av, [])
    assert (found.num_parameters, found.num_trained) == counted(meta_av(host, av))
