"""The maps of the slots begin as the identity, are what their matrices say, and decay to it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from interlingua.core.affine import SlotAffine, deviations, fresh_affine
from interlingua.specs.injection import Affine, BiasOnly, Full, LowRank, Shared

torch.set_num_threads(1)

SLOTS, WIDTH, RANK = 3, 8, 2
SPECS = [Full(), Shared(), LowRank(rank=RANK), BiasOnly()]
EVERY = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)


def fresh(spec: Affine, seed: int = 0) -> SlotAffine:
    return fresh_affine(spec, num_slots=SLOTS, width=WIDTH, seed=seed)


def moved(spec: Affine) -> SlotAffine:
    """Maps whose every parameter is somewhere else than at the start."""
    affine, generator = fresh(spec), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in affine.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)
    return affine


def vectors(num_rows: int = 4) -> Tensor:
    return torch.randn(num_rows, WIDTH, generator=torch.Generator().manual_seed(2))


def num_parameters(affine: SlotAffine) -> int:
    return sum(p.numel() for p in affine.parameters())


@EVERY
def test_fresh_maps_are_the_identity_exactly(spec):
    affine, v_BD = fresh(spec), vectors()
    assert torch.equal(affine(v_BD), v_BD[:, None].expand(-1, SLOTS, -1))
    assert torch.equal(affine.weight_SDD(), torch.eye(WIDTH).expand(SLOTS, -1, -1))
    assert torch.equal(affine.bias_SD(), torch.zeros(SLOTS, WIDTH))
    assert {p.dtype for p in affine.parameters()} == {torch.float32}


@EVERY
def test_what_the_slots_carry_is_what_the_written_out_matrices_say(spec):
    affine, v_BD = moved(spec), vectors()
    weight_SDD, bias_SD = affine.weight_SDD(), affine.bias_SD()
    assert weight_SDD.shape == (SLOTS, WIDTH, WIDTH)
    assert bias_SD.shape == (SLOTS, WIDTH)
    x_BSD = affine(v_BD)
    assert x_BSD.shape == (len(v_BD), SLOTS, WIDTH)
    for row, v_D in enumerate(v_BD):
        for slot in range(SLOTS):
            expected_D = weight_SDD[slot].double() @ v_D.double() + bias_SD[slot].double()
            torch.testing.assert_close(x_BSD[row, slot].double(), expected_D, rtol=1e-5, atol=1e-5)


@EVERY
def test_slots_differ_but_where_they_share_their_map(spec):
    affine = moved(spec)
    weights, biases = affine.weight_SDD(), affine.bias_SD()
    assert torch.equal(biases[0], biases[1]) == (spec == Shared())
    assert torch.equal(weights[0], weights[1]) == (spec in (Shared(), BiasOnly()))


def test_a_bias_alone_never_turns_a_vector():
    affine = moved(BiasOnly())
    assert torch.equal(affine.weight_SDD(), torch.eye(WIDTH).expand(SLOTS, -1, -1))


def test_a_low_rank_map_is_the_identity_and_that_rank():
    delta_SDD = moved(LowRank(rank=RANK)).weight_SDD() - torch.eye(WIDTH)
    assert torch.linalg.matrix_rank(delta_SDD, atol=1e-4, rtol=0.0).tolist() == [RANK] * SLOTS


def test_the_full_maps_of_sixteen_slots_have_the_published_size():
    with torch.device("meta"):
        affine = fresh_affine(Full(), num_slots=16, width=4096, seed=0)
    assert num_parameters(affine) == 268_500_992


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Full(), SLOTS * (WIDTH * WIDTH + WIDTH)),
        (Shared(), WIDTH * WIDTH + WIDTH),
        (LowRank(rank=RANK), SLOTS * (2 * RANK * WIDTH + WIDTH)),
        (BiasOnly(), SLOTS * WIDTH),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_variant_has_its_number_of_parameters(spec, expected):
    affine = fresh(spec)
    assert num_parameters(affine) == expected
    assert all(p.requires_grad for p in affine.parameters())


def test_the_seed_alone_decides_a_low_rank_start():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (fresh(LowRank(rank=RANK), seed) for seed in (3, 3, 4))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.down_SRD, again.down_SRD)
    assert not torch.equal(first.down_SRD, other.down_SRD)
    assert len({tuple(row.tolist()) for row in first.down_SRD.detach().flatten(0, 1)}) == 6


@EVERY
def test_every_variant_can_leave_the_identity(spec):
    affine, v_BD = fresh(spec), vectors()
    target_BSD = torch.randn(4, SLOTS, WIDTH, generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.Adam(affine.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = (affine(v_BD) - target_BSD).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad.abs().max() > 0 for p in affine.parameters())


def test_the_gradient_of_a_slot_reaches_its_own_map_alone():
    affine = fresh(Full())
    affine(vectors())[:, 1].sum().backward()
    assert affine.delta_MDD.grad.flatten(1).any(1).tolist() == [False, True, False]
    assert affine.offset_MD.grad.any(1).tolist() == [False, True, False]


@EVERY
def test_maps_held_in_half_precision_still_carry_fp32(spec):
    affine, v_BD = moved(spec), vectors()
    expected_BSD = affine(v_BD)
    x_BSD = affine.to(torch.bfloat16)(v_BD)
    assert x_BSD.dtype == affine.weight_SDD().dtype == affine.bias_SD().dtype == torch.float32
    torch.testing.assert_close(x_BSD, expected_BSD, rtol=0.1, atol=0.1)


@EVERY
def test_weight_decay_pulls_to_the_identity(spec):
    affine = moved(spec)
    before_SDD, offset_SD = affine.weight_SDD().detach(), affine.bias_SD().detach().clone()
    optimizer = torch.optim.AdamW(affine.parameters(), lr=0.1, weight_decay=0.5)
    for parameter in affine.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(10):
        optimizer.step()
    left = (1 - 0.1 * 0.5) ** 10
    # two thin matrices decay, and their product by both
    of_delta = left**2 if spec == LowRank(rank=RANK) else left
    eye_DD = torch.eye(WIDTH)
    expected_SDD = eye_DD + of_delta * (before_SDD - eye_DD)
    torch.testing.assert_close(affine.weight_SDD(), expected_SDD, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(affine.bias_SD(), left * offset_SD, rtol=1e-4, atol=1e-5)


@EVERY
def test_deviations_are_their_definition(spec):
    weight_SDD = moved(spec).weight_SDD().detach()
    weights, eye = weight_SDD.double().numpy(), np.eye(WIDTH)
    norm = np.sqrt(WIDTH)
    from_identity = [np.linalg.norm(weight - eye) / norm for weight in weights]
    from_mean = [np.linalg.norm(weight - weights.mean(axis=0)) / norm for weight in weights]
    found = deviations(weight_SDD)
    assert set(found) == {"from_identity", "from_mean", "share"}
    assert found["from_identity"] == pytest.approx(from_identity, rel=1e-5, abs=1e-6)
    assert found["from_mean"] == pytest.approx(from_mean, rel=1e-5, abs=1e-6)
    if spec != BiasOnly():
        share = np.array(from_mean) / np.array(from_identity)
        assert found["share"] == pytest.approx(share, rel=1e-5, abs=1e-6)


def test_the_share_tells_slots_that_went_together_from_those_that_did_not():
    delta_DD = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(4))
    eye_DD = torch.eye(WIDTH)
    together = deviations(torch.stack([eye_DD + delta_DD] * 4))
    apart = deviations(torch.stack([eye_DD + delta_DD, eye_DD - delta_DD]))
    one_alone = deviations(torch.stack([eye_DD + delta_DD, eye_DD, eye_DD, eye_DD]))
    assert together["share"] == pytest.approx([0.0] * 4, abs=1e-6)
    assert apart["share"] == pytest.approx([1.0] * 2, rel=1e-6)
    assert one_alone["share"][0] == pytest.approx(0.75, rel=1e-6)
    assert one_alone["from_identity"][1:] == [0.0] * 3
    one_slot = deviations((eye_DD + delta_DD)[None])
    assert one_slot["share"] == [0.0]


def test_deviations_at_the_start_are_numbers():
    found = deviations(fresh(Full()).weight_SDD())
    assert found == {name: [0.0] * SLOTS for name in ("from_identity", "from_mean", "share")}
