from collections import Counter
from dataclasses import replace

import pytest

from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL, pool_host
from interlingua.specs.hosts import AtBlock, AtDepth, HostRole

HOSTS = (*UNIVERSAL_POOL, *SINGLE_HOSTS)


def test_the_universal_pool_has_its_published_roles() -> None:
    roles = Counter(host.role for host in UNIVERSAL_POOL)
    assert roles == {HostRole.ANCHOR: 1, HostRole.TRAINED: 13, HostRole.HELD_OUT: 5}
    assert {host.role for host in SINGLE_HOSTS} == {HostRole.SINGLE}


def test_tags_are_unique() -> None:
    assert len({host.tag for host in HOSTS}) == len(HOSTS)


@pytest.mark.parametrize(
    ("tag", "block_index"),
    [
        ("qwen3-1p7b", 14),
        ("qwen2p5-0p5b", 12),
        ("smollm2-360m", 16),
        ("qwen3-4b", 18),
        ("gemma4-e4b", 20),
        ("qwen2p5-7b", 20),
        ("lfm-7b", 8),
        ("deepseek-llm-7b", 14),
        ("yagpt-5-8b", 16),
        ("qwen2p5-7b-it", 20),
        ("qwen3-8b", 24),
        ("gemma3-12b-it", 32),
        ("gemma3-27b-it", 41),
        ("llama3p3-70b-it", 53),
    ],
)
def test_the_published_block_is_read(tag: str, block_index: int) -> None:
    assert pool_host(tag).block_index == block_index


def test_every_text_host_without_a_parameter_count_says_so() -> None:
    for host in HOSTS:
        assert (host.num_parameters is None) == ("num_parameters" in host.unconfirmed), host.tag


def test_an_unknown_tag_names_the_near_ones() -> None:
    with pytest.raises(ValueError, match="'qwen3-17b'.*qwen3-1p7b"):
        pool_host("qwen3-17b")


@pytest.mark.parametrize(
    "change",
    [
        {"tag": "a.b"},
        {"width": 0},
        {"num_kv_heads": 5},
        {"dtype": "fp16"},
        {"block": AtBlock(index=28)},
        {"unconfirmed": ("depth",)},
        {"num_parameters": 0},
    ],
)
def test_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change)).replace("block", "AtBlock.index")):
        replace(pool_host("qwen3-1p7b"), **change)


def test_a_fraction_of_the_depth_lies_between_0_and_1() -> None:
    assert AtDepth(fraction=0.0).block_index(7) == 0
    assert AtDepth(fraction=1.0).block_index(7) == 6
    with pytest.raises(ValueError, match="fraction"):
        AtDepth(fraction=1.5)
