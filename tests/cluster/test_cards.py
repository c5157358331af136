"""What a GPU says of itself, and what follows from it; without Ray and without one."""

from dataclasses import replace

import pytest

from interlingua.cluster import cards as cards_module
from interlingua.cluster.cards import Card, cards_of, devices_of, read_card
from interlingua.cluster.nodes import Node
from interlingua.cluster.placement import DoesNotFit
from interlingua.recipes.placements import PLACEMENTS

CUDA_13 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
CUDA_12_6 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
V100 = Card("Tesla V100-SXM2-32GB", 34_072_559_616, (7, 0), "2.13.0+cu130", CUDA_13)
H200 = Card("NVIDIA H200", 150_109_880_320, (9, 0), "2.13.0+cu130", CUDA_13)
NODE = Node("n0", None, cpus=8, gpus=4, key="key-of-n0")


def cards(monkeypatch, card, place="four_v100", node=NODE):
    monkeypatch.setattr(
        cards_module, "_asked", lambda ray, nodes: [(one.key, card) for one in nodes if card]
    )
    return cards_of(None, [node, Node("head", None, 8, 0)], PLACEMENTS[place]())


def test_a_v100_under_a_pytorch_without_its_kernels_is_refused_with_what_to_install(monkeypatch):
    with pytest.raises(DoesNotFit) as refused:
        cards(monkeypatch, V100)
    sentence = str(refused.value)
    assert "n0 has a Tesla V100-SXM2-32GB (sm_70)" in sentence and "\n" not in sentence
    assert "torch 2.13.0+cu130 has kernels for sm_75" in sentence and "CUDA 12.6" in sentence


def test_with_its_kernels_a_v100_is_noticed_for_what_it_cannot_do(monkeypatch):
    found, notices = cards(monkeypatch, replace(V100, architectures=CUDA_12_6))
    assert found["key-of-n0"].num_bytes == V100.num_bytes  # and not what a table of names says
    [notice] = notices
    assert notice.startswith("n0: a Tesla V100") and "emulates bfloat16" in notice


def test_a_newer_card_is_no_notice_and_one_that_does_not_answer_is_not_known(monkeypatch):
    assert cards(monkeypatch, H200) == ({"key-of-n0": H200}, [])
    assert cards(monkeypatch, None) == ({}, [])


def test_nobody_is_asked_where_nothing_uses_a_card(monkeypatch):
    assert cards(monkeypatch, V100, place="laptop") == ({}, [])
    assert cards(monkeypatch, V100, node=replace(NODE, gpus=0)) == ({}, [])
    assert set(devices_of(PLACEMENTS["laptop"]())) == {"cpu"}
    assert set(devices_of(PLACEMENTS["eight_gpus"]())) == {"cuda"}


@pytest.mark.parametrize(
    ("capability", "architectures", "has_kernels"),
    [
        ((8, 9), CUDA_13, True),  # sm_86: an earlier one of its generation
        ((7, 0), CUDA_13, False),
        ((6, 1), CUDA_12_6, True),
        ((9, 0), ("sm_80", "compute_80"), True),  # its PTX is compiled
        ((12, 1), CUDA_13, True),
        ((10, 0), ("sm_90a", "sm_120"), False),
        ((9, 0), ("sm_90a",), True),
        ((9, 0), (), False),
    ],
)
def test_kernels_are_those_of_its_generation_or_ptx_of_an_earlier_one(
    capability, architectures, has_kernels
):
    card = replace(V100, capability=capability, architectures=architectures)
    assert card.has_kernels == has_kernels


def test_without_a_driver_there_is_no_card_and_torch_is_not_opened(monkeypatch):
    monkeypatch.setattr(cards_module, "DRIVERS", ("/nowhere/at/all",))
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert read_card() is None
