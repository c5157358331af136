"""What roles take at their peak: one row by hand, and verdicts that follow from their rows."""

from dataclasses import replace

import pytest

from interlingua.memory.cards import (
    LEARNER,
    RANKS,
    THREE_CARDS,
    card_lines,
    card_rows,
    card_shapes,
)
from interlingua.memory.roles import groups_memory
from interlingua.published.hosts import pool_host
from interlingua.recipes.universal import universal_v6_rl, universal_v7_rl_4b
from interlingua.specs.placement import Workers

CARD = 32 * 2**30
V6_RL, V7_RL = universal_v6_rl(), universal_v7_rl_4b()


def shapes_of(run):
    """Counts of a step of the recipe's reinforcement."""
    return card_shapes(run.rl[0], run.ar)


def rows_of(run, rank, device_bytes=CARD):
    """The rows of a run on cards, at a rank of LoRA."""
    trunk = pool_host(run.anchor)
    av, ar = (
        replace(spec, lora=rank and replace(spec.lora, rank=rank)) for spec in (run.av, run.ar)
    )
    return card_rows(trunk, av, ar, shapes=shapes_of(run), device_bytes=device_bytes)


def test_one_row_by_hand():
    av = next(row for row in rows_of(V7_RL, 16) if row.role == "av")
    # Qwen3-4B, and 16 x 36 blocks x (q 6656, k and v 3584, o 6656, three of the MLP 12288).
    assert av.num_trained == 16 * 36 * (6656 + 2 * 3584 + 6656 + 3 * 12288) == 33_030_144
    assert av.weights == 2 * (4_022_468_096 + 33_030_144)
    assert (av.masters, av.moments, av.gradients) == (132_120_576, 264_241_152, 132_120_576)
    # Learning from 8 rows of 188 tokens: the inputs of 36 blocks and all of one block; logits.
    kept = (36 * 2560 + 12 * 2560 + 4 * (32 + 8) * 128 + 4 * 9728) * 8 * 188 * 2
    logits = 8 * 60 * 151_936 * (2 + 4 + 4)
    assert av.peak.name == "learning" and av.peak.num_bytes == kept + logits == 1_277_566_976
    assert av.process == 1_073_741_824
    assert av.total == 8_110_996_480 + 528_482_304 + 1_277_566_976 + 1_073_741_824
    assert av.fits


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("run", [V6_RL, V7_RL], ids=lambda run: run.name)
def test_every_verdict_follows_from_its_row(run, rank):
    for row in rows_of(run, rank):
        cells = row.cells()
        parts = [float(cell) for cell in cells[5:12] if cell != "-"]
        assert sum(parts) == pytest.approx(row.total / 2**30, abs=0.04)
        assert row.fits == (row.total <= CARD) == (cells[-1] == "fits")
        one_less = replace(row, device_bytes=row.total - 1)
        assert replace(row, device_bytes=row.total).fits and not one_less.fits


def test_three_copies_take_what_three_cards_take_and_one_process_takes_less():
    copies, single, *groups = rows_of(V7_RL, 256)
    assert copies.total == sum(row.total for row in groups)
    assert single.total < copies.total
    # What made a run of 4B impossible on such a card, and what makes it possible.
    assert not copies.fits and all(row.fits for row in groups)


@pytest.mark.parametrize(("zero_stage", "shares"), [(0, (1, 1, 1)), (1, (4, 4, 1)), (2, (4, 4, 4))])
def test_zero_shares_out_state_and_then_gradients(zero_stage, shares):
    run = V6_RL
    four = replace(LEARNER, workers=Workers(count=4, cpus=1, gpus=1), zero_stage=zero_stage)
    one, many = (
        groups_memory(
            pool_host(run.anchor),
            run.av,
            run.ar,
            shapes=shapes_of(run),
            place=replace(THREE_CARDS, av=learner),
            device_bytes=CARD,
        )[0]
        for learner in (LEARNER, four)
    )
    for name, share in zip(("masters", "moments", "gradients"), shares, strict=True):
        assert getattr(many, name) == getattr(one, name) // share
    assert many.weights == one.weights and many.devices == "4 x cuda"


def test_the_table_stands_below_its_arithmetic():
    run = V7_RL
    lines = list(card_lines(pool_host(run.anchor), run.av, run.ar, shapes_of(run)))
    assert any("8 rows x 188 tokens x (36 x 2,560 + 90,112) numbers" in line for line in lines)
    assert sum("three copies" in line and "short of" in line for line in lines) == 2
    assert sum(line.split()[:1] == ["av_init"] for line in lines) == 3
