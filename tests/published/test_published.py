"""Every published run is complete, can be overridden, and holds the numbers of its sources."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.published.hosts import UNIVERSAL_POOL, pool_host
from interlingua.published.run import HostBlock, PublishedRun, check_teachers
from interlingua.published.single_host import PUBLISHED
from interlingua.specs.extraction import Pooled, TokenPositions
from interlingua.specs.hosts import HostRole
from interlingua.specs.injection import AfterBlock, BosRule, Centring, Full, Readout, Replace
from interlingua.specs.text.canonical import canonical_json
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.specs.training import RateDecay

UNIVERSAL = [f"universal_v{version}" for version in range(1, 8)]
SINGLE = [
    "nano_qwen3_8b_L24",
    "slots16_affine_qwen3_8b",
    "slots1_qwen3_8b",
    "release_qwen2p5_7b_L20",
    "release_gemma3_27b_L41",
]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=PUBLISHED)
def run(request) -> PublishedRun:
    return PUBLISHED[request.param]


def as_text(value: object) -> str:
    """The value as somebody would write it behind `--set path=`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def blocks_of(run: PublishedRun) -> dict[str, int]:
    return {host.tag: host.block_index for host in run.hosts}


def test_all_are_there_under_their_names() -> None:
    assert list(PUBLISHED) == UNIVERSAL + SINGLE
    assert all(name == run.name for name, run in PUBLISHED.items())


def test_every_path_set_to_what_it_is_gives_the_same_run(run) -> None:
    overrides = [f"{path}={as_text(value)}" for path, _, value in list_paths(run)]
    assert len(overrides) > 60
    same = with_overrides(run, overrides)
    assert same == run
    assert canonical_json(same) == canonical_json(run)


def test_no_two_runs_are_the_same_experiment() -> None:
    unnamed = {canonical_json(replace(run, name="x", notes="")) for run in PUBLISHED.values()}
    assert len(unnamed) == len(PUBLISHED)


def test_every_host_is_read_at_the_block_of_the_pool(run) -> None:
    assert blocks_of(run) == {tag: pool_host(tag).block_index for tag in blocks_of(run)}
    assert run.ar.block_index == blocks_of(run)[run.anchor]
    assert run.trunk == run.anchor


def test_prompts_hold_what_is_filled_in(run) -> None:
    for part in ("{injection_char}", "<concept>{injection_char}</concept>", "<explanation>"):
        assert run.av.template.count(part) == 1
    assert run.av.template.count("{host_tag}") == (1 if run.trained else 0)
    assert run.ar.template == (
        "Summary of the following text: <text>{explanation}</text> <summary>"
    )


def test_sizes_are_known_of_every_run(run) -> None:
    av, av_init, ar = run.sizes()
    assert (av.role, av_init.role, ar.role) == ("av", "av_init", "ar")
    assert 0 < av.num_trained <= av.num_parameters
    assert av_init.num_trained == 0 < ar.num_trained <= ar.num_parameters


@pytest.mark.parametrize("name", UNIVERSAL)
def test_a_universal_run_has_the_published_training(name: str) -> None:
    run = PUBLISHED[name]
    av, ar = run.av, run.ar
    assert run.read == Pooled(include_first=True)
    assert (run.max_tokens, run.corpus.max_characters) == (512, 4000)
    assert (run.corpus.name, run.corpus.subset) == ("HuggingFaceFW/fineweb-edu", "sample-10BT")
    assert (av.injection.rule, av.injection.scale) == (Replace(), "sqrt_d")
    assert (av.injection.num_slots, av.injection.affine) == (1, None)
    assert av.injection.centring is Centring.NONE
    assert av.lora == ar.lora is not None
    assert (av.lora.rank, av.lora.alpha, av.lora.dropout) == (16, 32.0, 0.05)
    assert len(av.lora.targets) == 7 and not av.lora.rank_stabilised
    assert (av.optim.learning_rate, ar.optim.learning_rate) == (2e-5, 5e-5)
    assert av.encoder_learning_rate == 2e-4
    for model in (av, ar):
        optim = model.optim
        assert (model.batch_rows, optim.warmup_steps) == (32, 50)
        assert (optim.decay, optim.clip_norm) == (RateDecay.CONSTANT, 1.0)
    assert not ar.trains_value_head
    assert (ar.readout, ar.bos) == (Readout.RAW, BosRule.ABSENT)


@pytest.mark.parametrize(
    ("name", "trunk", "num_trained", "num_held_out", "num_passages", "num_steps", "block_index"),
    [
        ("universal_v1", "qwen3-1p7b", 5, 2, 10_000, 1562, 14),
        ("universal_v2", "qwen3-4b", 5, 0, 10_000, 1562, 18),
        ("universal_v3", "qwen3-1p7b", 13, 0, 50_000, 20_312, 14),
        ("universal_v4", "qwen3-1p7b", 13, 0, 10_000, 4062, 14),
        ("universal_v5", "qwen3-1p7b", 13, 3, 10_000, 4062, 14),
        ("universal_v6", "qwen3-1p7b", 13, 5, 10_000, 4062, 14),
        ("universal_v7", "qwen3-4b", 12, 6, 10_000, 3750, 18),
    ],
)
def test_what_a_universal_version_changed(
    name, trunk, num_trained, num_held_out, num_passages, num_steps, block_index
) -> None:
    run = PUBLISHED[name]
    assert run.trunk == trunk
    assert (len(run.trained), len(run.held_out)) == (num_trained, num_held_out)
    assert run.corpus.num_passages == num_passages
    assert run.av.num_steps == run.ar.num_steps == num_steps
    assert run.ar.block_index == block_index
    rows = num_passages * num_trained
    assert num_steps == rows // 32


def test_version_6_is_the_pool_with_its_roles() -> None:
    run = PUBLISHED["universal_v6"]
    assert set(blocks_of(run)) == {host.tag for host in UNIVERSAL_POOL}
    assert {pool_host(tag).role for tag in run.trained} == {HostRole.TRAINED}
    assert {pool_host(tag).role for tag in run.held_out} == {HostRole.HELD_OUT}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_host_run_reads_positions_of_the_host_under_its_models(name: str) -> None:
    run = PUBLISHED[name]
    assert isinstance(run.read, TokenPositions)
    assert run.read.min_position == 50
    assert run.read.per_passage == (5 if name.startswith("release") else 10)
    assert (run.trained, run.held_out) == ((), ())
    assert pool_host(run.anchor).role is HostRole.SINGLE
    assert run.teachers == ("claude-sonnet-4-6",)
    assert (run.corpus.num_passages, run.max_tokens) == (100_000, 4096)
    assert run.av.encoder_learning_rate is None
    for optim in (run.av.optim, run.ar.optim):
        assert (optim.decay, optim.warmup_steps) == (RateDecay.COSINE, 50)


def test_nano_is_the_card_of_its_checkpoint() -> None:
    run = PUBLISHED["nano_qwen3_8b_L24"]
    assert run.av.injection.rule == AfterBlock(index=1)
    assert (run.av.num_steps, run.av.optim.learning_rate) == (1000, 3e-5)
    assert run.av.lora == run.ar.lora is not None
    assert (run.av.lora.rank, run.av.lora.alpha, run.av.lora.rank_stabilised) == (128, 16.0, True)
    assert len(run.av.lora.targets) == 4
    assert blocks_of(run) == {"qwen3-8b": 24}
    assert (run.ar.readout, run.ar.trains_value_head) == (Readout.NORMALIZED, True)


def test_the_slots_and_their_control_differ_in_the_slots_alone() -> None:
    run, control = PUBLISHED["slots16_affine_qwen3_8b"], PUBLISHED["slots1_qwen3_8b"]
    assert (run.av.injection.num_slots, run.av.injection.affine) == (16, Full())
    assert (control.av.injection.num_slots, control.av.injection.affine) == (1, None)
    assert replace(run, name="x", notes="", av=control.av) == replace(control, name="x", notes="")
    assert replace(run.av, injection=control.av.injection) == control.av
    av = control.av
    assert (av.num_steps, av.batch_rows, av.optim.learning_rate) == (3000, 32, 2e-5)
    assert control.av.lora is None
    assert control.av.injection.scale == "sqrt_d"
    assert control.av.injection.rule == Replace()
    assert control.warm_start == "syvb/nanonla-qwen3-8b-L24-av"
    assert control.av.watch.dev_rows == 832


@pytest.mark.parametrize(
    ("name", "tag", "block_index", "scale"),
    [
        ("release_qwen2p5_7b_L20", "qwen2p5-7b-it", 20, 150.0),
        ("release_gemma3_27b_L41", "gemma3-27b-it", 41, 60_000.0),
    ],
)
def test_a_released_nla(name: str, tag: str, block_index: int, scale: float) -> None:
    run = PUBLISHED[name]
    assert blocks_of(run) == {tag: block_index}
    assert (run.av.injection.rule, run.av.injection.scale) == (Replace(), scale)
    assert run.av.lora is run.ar.lora is None
    assert run.ar.trains_value_head
    assert run.ar.bos is BosRule.TOKENIZER_DEFAULT
    for model in (run.av, run.ar):
        assert (model.num_steps, model.batch_rows, model.optim.learning_rate) == (1000, 256, 2e-5)
    assert run.corpus.name == "openbmb/Ultra-FineWeb"


def test_mixed_teachers_are_refused_until_they_are_accepted(run) -> None:
    if len(run.teachers) == 1:
        check_teachers(run)
        return
    assert run.name == "universal_v3"
    with pytest.raises(ValueError, match="destroyed a published run.*accepts_mixed_teachers=true"):
        check_teachers(run)
    check_teachers(with_overrides(run, ["accepts_mixed_teachers=true"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trained": ()}, "together they must name every host once"),
        ({"hosts": (HostBlock(tag="phi-1p5", block_index=12),) * 2}, "name every host once"),
        ({"teachers": ()}, "name at least one, each once"),
        ({"teachers": ("a", "a")}, "name at least one, each once"),
        ({"trunk": "qwen3-4b"}, "PublishedRun.trunk is qwen3-4b of width 2560.*as wide as"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PUBLISHED["universal_v6"], **change)


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("universal_v6", "ar.block_index=28", "PublishedRun.ar.block_index is 28"),
        ("nano_qwen3_8b_L24", "av.injection.rule.index=36", "av.injection.rule.index is 36"),
        ("nano_qwen3_8b_L24", "av.encoder_learning_rate=1e-4", "encoder is the identity"),
        ("universal_v6", "hosts.gpt2-medium.block_index=24", "HostBlock.block_index is 24"),
        ("universal_v6", "corpus.num_passages=0", "CorpusSpec.num_passages is 0"),
        ("universal_v6", "corpus.max_characters=0", "CorpusSpec.max_characters is 0"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(name, override, message) -> None:
    with pytest.raises(ValueError, match=message):
        with_overrides(PUBLISHED[name], [override])


def test_the_injection_rule_is_set_by_name_and_then_its_block() -> None:
    there = ["av.injection.rule=after_block", "av.injection.rule.index=3"]
    changed = with_overrides(PUBLISHED["universal_v6"], there)
    assert changed.av.injection.rule == AfterBlock(index=3)
    back = with_overrides(changed, ["av.injection.rule=replace"])
    assert back == PUBLISHED["universal_v6"]
    with pytest.raises(ValueError, match=r"rule also needs av\.injection\.rule\.index; set"):
        with_overrides(back, there[:1])


def test_an_unknown_host_names_the_near_ones() -> None:
    with pytest.raises(ValueError, match="'gpt2-mediun'.*gpt2-medium"):
        HostBlock(tag="gpt2-mediun", block_index=0)


def test_published_runs_need_neither_torch_nor_transformers() -> None:
    program = """
import sys
from interlingua.published.single_host import PUBLISHED
print(sorted({"torch", "transformers", "numpy", "ray"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": "platform"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
