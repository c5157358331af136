"""Every published run is complete, can be overridden, and holds the numbers of its sources."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.published.hosts import UNIVERSAL_POOL, pool_host
from interlingua.recipes.registry import PUBLISHED
from interlingua.sources.pinned import pinned
from interlingua.specs.extraction import Pooled, TokenPositions
from interlingua.specs.hosts import HostRole
from interlingua.specs.injection import AfterBlock, BosRule, Centring, Full, Readout, Replace
from interlingua.specs.maps import FromEncoder
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.teachers import MixedTeachers
from interlingua.specs.text.canonical import canonical_json
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.specs.training import HubFolder, RateDecay
from interlingua.stages.graph.order import graph_of

UNIVERSAL = [f"universal_v{version}" for version in range(1, 8)]
SINGLE = [
    "nano_qwen3_8b_L24",
    "slots16_affine_qwen3_8b",
    "slots1_qwen3_8b",
    "release_qwen2p5_7b_L20",
    "release_gemma3_12b_L32",
    "release_gemma3_27b_L41",
    "release_llama3p3_70b_L53",
]
REINFORCED = ["universal_v6_rl", "universal_v7_rl_4b"]
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(params=PUBLISHED)
def run(request) -> Recipe:
    return PUBLISHED[request.param]()


def as_text(value: object) -> str:
    """The value as somebody would write it behind `--set path=`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def blocks_of(run: Recipe) -> dict[str, int]:
    return {host.tag: host.block_index for host in run.hosts}


def test_all_are_there_under_their_names() -> None:
    assert sorted(PUBLISHED) == sorted(UNIVERSAL + SINGLE + REINFORCED)
    assert all(name == make().name for name, make in PUBLISHED.items())


def test_every_path_set_to_what_it_is_gives_the_same_run(run) -> None:
    overrides = [f"{path}={as_text(value)}" for path, _, value in list_paths(run)]
    assert len(overrides) > 60
    same = with_overrides(run, overrides)
    assert same == run
    # `2` and `2.0` are one placement, which nothing hashes.
    assert canonical_json(replace(same, placement=run.placement)) == canonical_json(run)


def test_no_two_runs_are_the_same_experiment() -> None:
    runs = [replace(make(), name="x", notes="") for make in PUBLISHED.values()]
    assert len({canonical_json(run) for run in runs}) == len(PUBLISHED)


def test_its_graph_is_made_without_a_network(run, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kinds = {stage.kind for stage in graph_of(pinned(run, is_built=False))}
    assert {"adopted", "passages", "explanations", "av", "ar", "bundle", "report"} <= kinds
    assert ("rl" in kinds) == bool(run.rl)
    with pytest.raises(ValueError, match="revision is none for the hub id"):
        pinned(run)


def test_nothing_is_learned_from_what_is_evaluated(run) -> None:
    shares = run.passages.split.shares()
    assert run.evaluation.split is Split.TEST
    needed = (Split.AV_SFT, Split.AR_SFT, Split.RL, Split.FIT, Split.DEV, Split.TEST)
    assert all(shares[split] > 0 for split in needed)
    # Held against the widest host's dimensions: fewer rows than these give no map.
    widest = max(pool_host(tag).width for tag in blocks_of(run))
    rows = run.passages.corpus.count * shares[Split.FIT]
    rows *= run.read.per_passage if isinstance(run.read, TokenPositions) else 1
    assert rows > 2 * widest


def test_every_host_is_read_at_the_block_of_the_pool(run) -> None:
    assert blocks_of(run) == {tag: pool_host(tag).block_index for tag in blocks_of(run)}
    assert run.ar.block_index == blocks_of(run)[run.anchor]


def test_prompts_hold_what_is_filled_in(run) -> None:
    for part in ("{injection_char}", "<concept>{injection_char}</concept>", "<explanation>"):
        assert run.av.template.count(part) == 1
    assert run.av.template.count("{host_tag}") == (1 if run.trained else 0)
    assert run.ar.template == (
        "Summary of the following text: <text>{explanation}</text> <summary>"
    )


@pytest.mark.parametrize("name", UNIVERSAL)
def test_a_universal_run_has_the_published_training(name: str) -> None:
    run = PUBLISHED[name]()
    av, ar = run.av, run.ar
    assert run.read == Pooled(include_first=True)
    # Neither model learns from the anchor, whose space is shared.
    assert not run.anchor_learns and run.learning_tags() == run.trained
    assert {host.max_tokens for host in run.hosts} == {512}
    assert run.passages.most_characters == 4000
    assert run.passages.corpus.dataset == "HuggingFaceFW/fineweb-edu"
    assert run.passages.corpus.files.startswith("sample/10BT/")
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
    ("name", "trunk", "num_trained", "num_held_out", "num_published", "num_steps", "block_index"),
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
    name, trunk, num_trained, num_held_out, num_published, num_steps, block_index
) -> None:
    run = PUBLISHED[name]()
    assert run.anchor == trunk
    assert (len(run.trained), len(run.held_out)) == (num_trained, num_held_out)
    assert run.av.num_steps == run.ar.num_steps == num_steps == num_published * num_trained // 32
    assert run.ar.block_index == block_index
    # As many passages are learned from as were published, and others are for the rest.
    learned = run.passages.corpus.count * run.passages.split.shares()[Split.AV_SFT]
    assert round(learned) == 10_000


def test_version_6_is_the_pool_with_its_roles() -> None:
    run = PUBLISHED["universal_v6"]()
    assert set(blocks_of(run)) == {host.tag for host in UNIVERSAL_POOL}
    assert {pool_host(tag).role for tag in run.trained} == {HostRole.TRAINED}
    assert {pool_host(tag).role for tag in run.held_out} == {HostRole.HELD_OUT}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_host_run_reads_positions_of_the_host_under_its_models(name: str) -> None:
    run = PUBLISHED[name]()
    assert isinstance(run.read, TokenPositions)
    assert (run.read.min_position, run.read.keyed_by, run.read.seed) == (50, "document", 42)
    assert run.read.per_passage == (5 if name.startswith("release") else 10)
    assert (run.trained, run.held_out) == ((), ())
    assert pool_host(run.anchor).role is HostRole.SINGLE
    assert run.av_lessons.teacher.model == run.ar_lessons.teacher.model == "claude-sonnet-4-6"
    assert (run.passages.corpus.count, run.hosts[0].max_tokens) == (100_000, 4096)
    assert run.av.encoder_learning_rate is None
    for optim in (run.av.optim, run.ar.optim):
        assert (optim.decay, optim.warmup_steps) == (RateDecay.COSINE, 50)


def test_nano_is_the_card_of_its_checkpoint() -> None:
    run = PUBLISHED["nano_qwen3_8b_L24"]()
    assert run.av.injection.rule == AfterBlock(index=1)
    assert (run.av.num_steps, run.av.optim.learning_rate) == (1000, 3e-5)
    assert run.av.lora == run.ar.lora is not None
    assert (run.av.lora.rank, run.av.lora.alpha, run.av.lora.rank_stabilised) == (128, 16.0, True)
    assert len(run.av.lora.targets) == 4
    assert blocks_of(run) == {"qwen3-8b": 24}
    assert (run.ar.readout, run.ar.trains_value_head) == (Readout.NORMALIZED, True)


def test_the_slots_and_their_control_differ_in_the_slots_alone() -> None:
    run, control = PUBLISHED["slots16_affine_qwen3_8b"](), PUBLISHED["slots1_qwen3_8b"]()
    assert (run.av.injection.num_slots, run.av.injection.affine) == (16, Full())
    assert (control.av.injection.num_slots, control.av.injection.affine) == (1, None)
    assert replace(run, name="x", notes="", av=control.av) == replace(control, name="x", notes="")
    assert replace(run.av, injection=control.av.injection) == control.av
    av = control.av
    assert (av.num_steps, av.batch_rows, av.optim.learning_rate) == (3000, 32, 2e-5)
    assert control.av.lora is None
    assert control.av.injection.scale == "sqrt_d"
    assert control.av.injection.rule == Replace()
    assert control.av.start == HubFolder(source="syvb/nanonla-qwen3-8b-L24-av")
    assert control.av.watch.dev_rows == 832


@pytest.mark.parametrize(
    ("name", "tag", "block_index", "scale", "num_steps", "failure"),
    [
        ("release_qwen2p5_7b_L20", "qwen2p5-7b-it", 20, 150.0, 4200, -2.7),
        ("release_gemma3_12b_L32", "gemma3-12b-it", 32, 80_000.0, 4000, -66.2),
        ("release_gemma3_27b_L41", "gemma3-27b-it", 41, 60_000.0, 6000, -34.5),
        ("release_llama3p3_70b_L53", "llama3p3-70b-it", 53, 30.0, 2424, -2.2),
    ],
)
def test_a_released_nla(name, tag, block_index, scale, num_steps, failure) -> None:
    run = PUBLISHED[name]()
    assert blocks_of(run) == {tag: block_index}
    assert (run.av.injection.rule, run.av.injection.scale) == (Replace(), scale)
    assert run.av.lora is run.ar.lora is None
    assert run.ar.trains_value_head
    assert run.ar.bos is BosRule.TOKENIZER_DEFAULT
    for model in (run.av, run.ar):
        assert (model.num_steps, model.batch_rows, model.optim.learning_rate) == (1000, 256, 2e-5)
    assert run.passages.corpus.dataset == "openbmb/Ultra-FineWeb"
    (rl,) = run.rl
    assert (rl.activations_per_step, rl.group_size, rl.max_new_tokens) == (64, 8, 150)
    assert (rl.av.learning_rate, rl.ar.learning_rate, rl.kl_coef) == (1e-5, 5e-5, 0.01)
    # -2 in units of NMSE, over the variance that its model card prints.
    assert (rl.num_steps, round(rl.failure_reward, 1)) == (num_steps, failure)


def test_only_versions_3_and_4_fit_their_decoders_on_encoded_activations() -> None:
    found = [n for n, make in PUBLISHED.items() if make().fitting.decoder == FromEncoder()]
    assert found == ["universal_v3", "universal_v4"]


def test_only_version_3_mixes_teachers_and_it_does_not_accept_them() -> None:
    mixed = [
        name
        for name, make in PUBLISHED.items()
        if isinstance(make().av_lessons.teacher, MixedTeachers)
    ]
    assert mixed == ["universal_v3"]
    run = PUBLISHED["universal_v3"]()
    assert run.accepts_teachers == ()
    assert [part.share for part in run.av_lessons.teacher.parts] == [0.2, 0.8]


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("universal_v6", "ar.block_index=28", "Recipe.ar.block_index is 28; qwen3-1p7b has 28"),
        ("nano_qwen3_8b_L24", "av.injection.rule.index=36", "av.injection.rule.index is 36"),
        ("nano_qwen3_8b_L24", "av.encoder_learning_rate=1e-4", "encoder is the identity"),
        ("nano_qwen3_8b_L24", "anchor_learns=false", "would learn from no host"),
        ("universal_v6", "trained=phi-1p5", "together they must name every host once"),
        ("universal_v6", "passages.corpus.count=0", "HubText.count is 0"),
        ("universal_v6", "passages.most_characters=0", "PassagesSpec.most_characters is 0"),
        ("universal_v6", "passages.corpus.revision=main", "name the commit, 40 hex digits"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(name, override, message) -> None:
    with pytest.raises(ValueError, match=message):
        with_overrides(PUBLISHED[name](), [override])


def test_the_injection_rule_is_set_by_name_and_then_its_block() -> None:
    there = ["av.injection.rule=after_block", "av.injection.rule.index=3"]
    changed = with_overrides(PUBLISHED["universal_v6"](), there)
    assert changed.av.injection.rule == AfterBlock(index=3)
    back = with_overrides(changed, ["av.injection.rule=replace"])
    assert back == PUBLISHED["universal_v6"]()
    with pytest.raises(ValueError, match=r"rule also needs av\.injection\.rule\.index; set"):
        with_overrides(back, there[:1])


def test_published_runs_need_neither_torch_nor_transformers() -> None:
    program = """
import sys
from interlingua.recipes.registry import PUBLISHED
from interlingua.sources.pinned import pinned
from interlingua.stages.graph.order import graph_of
for make in PUBLISHED.values():
    graph_of(pinned(make(), is_built=False))
print(sorted({"torch", "transformers", "numpy", "ray", "huggingface_hub"} & set(sys.modules)))
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
