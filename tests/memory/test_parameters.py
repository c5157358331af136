"""Parameter counts and bytes from dimensions alone; the real classes agree in tests/models."""

from dataclasses import replace

import pytest

from interlingua.memory.parameters import (
    SIZE_COLUMNS,
    RoleSize,
    ar_size,
    av_init_size,
    av_size,
    linears_of,
    num_parameters,
    size_rows,
)
from interlingua.published.hosts import pool_host
from interlingua.recipes.registry import PUBLISHED
from interlingua.specs.injection import Affine, BiasOnly, Full, LowRank, Shared

SLOTS, V6 = PUBLISHED["slots16_affine_qwen3_8b"](), PUBLISHED["universal_v6"]()
QWEN3_8B, TRUNK = pool_host("qwen3-8b"), pool_host("qwen3-1p7b")
D = 4096


@pytest.mark.parametrize(
    ("affine", "num_slots", "expected"),
    [
        (Full(), 16, 268_500_992),  # as the card of the published run has it
        (LowRank(rank=64), 16, 16 * (2 * 64 * D + D)),
        (Shared(), 16, D * D + D),
        (BiasOnly(), 16, 16 * D),
        (None, 16, 0),
    ],
)
def test_an_affine_counts_to_the_av_and_its_start(
    affine: Affine | None, num_slots: int, expected: int
) -> None:
    injection = replace(SLOTS.av.injection, num_slots=num_slots, affine=affine)
    av = replace(SLOTS.av, injection=injection)
    base = num_parameters(QWEN3_8B)
    assert av_size(QWEN3_8B, av, []).num_parameters == base + expected
    assert av_size(QWEN3_8B, av, []).num_trained == base + expected
    assert av_init_size(QWEN3_8B, av).num_parameters == base + expected


def test_the_published_affine_takes_the_bytes_of_its_card() -> None:
    affine = RoleSize(role="affine", num_parameters=268_500_992, num_trained=268_500_992,
                      dtype="float32")  # fmt: skip
    parts = affine.bytes_by_part()
    assert round(parts["weights"] / 1e9, 3) == 1.074
    assert round(affine.num_bytes / 1e9, 1) == 4.3


def test_encoders_count_to_the_av_only_where_they_are_trained() -> None:
    hosts = [pool_host(tag) for tag in V6.trained]
    encoders = 2048 * sum(host.width for host in hosts)
    trained, frozen = V6.av, replace(V6.av, encoder_learning_rate=None)
    with_encoders, without = av_size(TRUNK, trained, hosts), av_size(TRUNK, frozen, hosts)
    assert with_encoders.num_parameters - without.num_parameters == encoders
    assert with_encoders.num_trained - without.num_trained == encoders
    assert av_init_size(TRUNK, trained).num_parameters == without.num_parameters


def test_what_is_trained_has_fp32_gradients_and_moments_and_what_is_frozen_has_none() -> None:
    for dtype, own, all_of_it in (("float32", 4, 16), ("bfloat16", 2, 18), ("float16", 2, 18)):
        trained = RoleSize(role="av", num_parameters=100, num_trained=100, dtype=dtype)
        frozen = RoleSize(role="av", num_parameters=100, num_trained=0, dtype=dtype)
        assert trained.num_bytes == 100 * all_of_it
        assert frozen.num_bytes == 100 * own
        assert trained.bytes_by_part()["moments"] == 800
    half = RoleSize(role="av", num_parameters=100, num_trained=10, dtype="bfloat16")
    assert half.bytes_by_part() == {"weights": 200, "master": 40, "gradients": 40, "moments": 80}


def test_adapters_are_as_many_as_published() -> None:
    nano = PUBLISHED["nano_qwen3_8b_L24"]()
    size = av_size(QWEN3_8B, nano.av, [])
    assert round(size.num_trained / 1e6) == 123
    assert round(100 * size.num_trained / size.num_parameters, 2) == 1.48


def test_an_ar_has_the_blocks_up_to_k_and_a_value_head_without_norm_and_lm_head() -> None:
    whole, head = num_parameters(QWEN3_8B), D * D
    lm_head, final_norm = D * QWEN3_8B.vocab_size, D
    last = replace(SLOTS.ar, lora=None, block_index=QWEN3_8B.num_blocks - 1)
    assert ar_size(QWEN3_8B, last).num_parameters == whole - lm_head - final_norm + head
    with_head = ar_size(QWEN3_8B, replace(last, trains_value_head=True))
    assert with_head.num_trained - ar_size(QWEN3_8B, last).num_trained == head


def test_a_block_that_the_trunk_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ArSpec.block_index is 36.*0..35"):
        ar_size(QWEN3_8B, replace(SLOTS.ar, block_index=36))


def test_a_layer_that_the_trunk_does_not_have_is_refused() -> None:
    assert V6.av.lora is not None
    av = replace(V6.av, lora=replace(V6.av.lora, targets=("q_proj", "c_attn")))
    with pytest.raises(ValueError, match="c_attn, which qwen3-1p7b.*gate_proj, k_proj"):
        av_size(TRUNK, av, [])


def test_a_name_that_stands_twice_in_a_block_is_adapted_twice() -> None:
    trunk = pool_host("gpt2-medium")
    assert [linear.name for linear in linears_of(trunk)].count("c_proj") == 2
    assert V6.av.lora is not None
    lora = replace(V6.av.lora, rank=1, targets=("c_proj",))
    size = av_size(trunk, replace(V6.av, lora=lora), [])
    assert size.num_trained == 24 * (1024 + 1024 + 4096 + 1024)


@pytest.mark.parametrize("tag", ["lfm-7b", "gemma4-e4b"])
def test_a_family_whose_blocks_differ_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match=f"model_type of {tag}.*sizes are known for: llama"):
        num_parameters(pool_host(tag))


def test_rows_have_a_cell_for_every_column() -> None:
    sizes = (
        RoleSize(role="av", num_parameters=3 * 2**30, num_trained=2**20, dtype="bfloat16"),
        RoleSize(role="ar", num_parameters=1000, num_trained=0, dtype="float32"),
    )
    rows = [dict(zip(SIZE_COLUMNS, row, strict=True)) for row in size_rows(sizes)]
    assert rows[0] == {
        "role": "av",
        "parameters": "3,221,225,472",
        "trainable": "1,048,576",
        "weights": "6.00 GiB",
        "master": "4.00 MiB",
        "gradients": "4.00 MiB",
        "moments": "8.00 MiB",
        "total": "6.02 GiB",
    }
    assert rows[1]["master"] == rows[1]["gradients"] == rows[1]["moments"] == "-"
    assert rows[1]["weights"] == rows[1]["total"] == "3.9 KiB"
