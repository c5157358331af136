"""An AV goes on from a whole model in the trunk's place, if that is of the trunk's make."""

import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tests.built import built_inputs

from interlingua.cluster.local import LocalPool, LocalTrainer, local_context
from interlingua.models.hosts.host import load_host, load_tokenizer
from interlingua.models.pair.start import OtherMake
from interlingua.recipes.world import world_mini
from interlingua.sources.pinned import pinned
from interlingua.specs.text.overrides import with_overrides
from interlingua.specs.training import Base, HubFolder
from interlingua.stages.graph.order import graph_of
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.nla.pair import opened_verbalizer
from interlingua.stages.sft.av import AvProgram
from interlingua.stages.sft.best_weights import AV_PREFIX, ROWS_NAME, WEIGHTS_NAME, weights_of
from interlingua.stages.sft.engine import TorchEngine
from interlingua.stages.sft.job import TrainingJob
from interlingua.stages.sft.loop import _dev_rows
from interlingua.store.artifact import build, find
from interlingua.store.model_files import files_sha256

pytestmark = pytest.mark.slow

MODEL = "trunk.model."  # before the names of the weights of an AV's trunk


def whole(start=Base()):  # noqa: B008
    """world_mini with all weights of the AV trained, for a few steps."""
    mini = world_mini()
    return replace(mini, av=replace(mini.av, lora=None, num_steps=4, start=start))


def stages_of(recipe):
    return {(stage.kind, stage.label): stage for stage in graph_of(recipe)}


@pytest.fixture
def own_root(mini_root, tmp_path):
    """A root that shares everything before training."""
    (tmp_path / "root").mkdir()
    for folder in mini_root.iterdir():
        (tmp_path / "root" / folder.name).symlink_to(folder)
    return tmp_path / "root"


@pytest.fixture
def trunk(mini_root):
    """The trunk's folder."""
    return find(stages_of(whole())["host", world_mini().anchor], mini_root).path


@pytest.fixture
def merged(trunk, tmp_path):
    """The trunk with other weights, as an AV that was trained and merged elsewhere."""
    model = load_host(str(trunk), dtype="float32").model
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data += 0.01 * torch.randn(weight.shape, generator=generator)
    model.save_pretrained(tmp_path / "merged")
    load_tokenizer(str(trunk)).save_pretrained(tmp_path / "merged")
    return tmp_path / "merged"


def start_at(folder):
    return HubFolder(source=str(folder), files_sha256=files_sha256(folder))


def local():
    return local_context(world_mini().placement, LocalPool(), LocalTrainer())


def job_of(stage, root):
    return TrainingJob(
        spec=stage.spec,
        inputs=built_inputs(stage, root),
        out=root,
        micro_batch_rows=100,
        threads=1,
        device="cpu",
    )


def dev_nll(stage, root):
    """The loss of every row of `dev` before the first step."""
    program = AvProgram(job_of(stage, root))
    engine = TorchEngine(program.module, program.groups(), program.optim, "cpu")
    rows = _dev_rows(program, engine)
    return {(row["host"], row["passage_id"]): row["nll_real"] for row in rows}


def test_a_trained_av_that_was_merged_is_gone_on_with(trunk, own_root, tmp_path):
    first = build(stages_of(whole())["av", "sft"], own_root, local())
    trained = weights_of(first, AV_PREFIX)
    model = load_host(str(trunk), dtype="float32").model
    state = {name.removeprefix(MODEL): weight for name, weight in trained.items()}
    model.load_state_dict(state, strict=False)
    assert state.keys() == dict(model.named_parameters()).keys()
    model.save_pretrained(tmp_path / "merged")
    load_tokenizer(str(trunk)).save_pretrained(tmp_path / "merged")

    stages = stages_of(whole(start_at(tmp_path / "merged")))
    build(stages["adopted", "av-start"], own_root, local())
    found = dev_nll(stages["av", "sft"], own_root)
    rows = pq.read_table(first.path / ROWS_NAME).to_pylist()
    expected = {(row["host"], row["passage_id"]): row["nll_real"] for row in rows}
    assert found == pytest.approx(expected, rel=1e-5)
    # The trunk itself is another model.
    from_trunk = dev_nll(stages_of(whole())["av", "sft"], own_root)
    assert sum(from_trunk.values()) > 1.01 * sum(found.values())


def test_it_is_trained_whole_and_opens_on_the_trunk(merged, own_root):
    stages = stages_of(whole(start_at(merged)))
    trunk, av = stages["host", world_mini().anchor], stages["av", "sft"]
    build(stages["adopted", "av-start"], own_root, local())
    artifact = build(av, own_root, local())
    weights = load_file(artifact.path / WEIGHTS_NAME)
    shutil.rmtree(merged)
    pair = PairInputs(find(trunk, own_root), artifact, artifact)
    opened = opened_verbalizer(pair, device="cpu", batch_rows=2)
    own = dict(opened.verbalizer.named_parameters())
    assert {f"{AV_PREFIX}{name}" for name in own} == weights.keys()
    for name, weight in own.items():
        assert torch.equal(weight, weights[f"{AV_PREFIX}{name}"])


def test_the_ar_goes_on_from_the_trunk(merged):
    trunk, other = stages_of(whole()), stages_of(whole(start_at(merged)))
    assert other["ar", "sft"].fingerprint == trunk["ar", "sft"].fingerprint
    assert other["av", "sft"].fingerprint != trunk["av", "sft"].fingerprint
    assert ("adopted", "av-start") not in trunk
    order = [(stage.kind, stage.label) for stage in graph_of(whole(start_at(merged)))]
    assert order.index(("adopted", "av-start")) < order.index(("av", "sft"))


def narrower(config):
    config["intermediate_size"] //= 2


def other_rotation(config):
    config["rope_parameters"]["rope_theta"] = 123.0


def other_family(config):
    config["model_type"] = "llama"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (narrower, "intermediate_size"),
        (other_rotation, "rope_parameters"),
        (other_family, "is a llama and the trunk .* a qwen3"),
    ],
)
def test_a_model_of_another_make_is_refused(spoil, expected, merged, own_root):
    config = json.loads((merged / "config.json").read_text())
    spoil(config)
    (merged / "config.json").write_text(json.dumps(config))
    refused(merged, own_root, expected)


def test_another_tokenizer_is_refused(merged, own_root):
    path = merged / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["merges"].pop(0)
    path.write_text(json.dumps(content))
    refused(merged, own_root, "encodes .* otherwise than the trunk")


def test_a_model_without_a_tokenizer_is_refused(merged, own_root):
    for path in merged.glob("tokenizer*"):
        path.unlink()
    refused(merged, own_root, "has 1 tokens, .* save the trunk's tokenizer beside it")


def refused(folder, root, expected):
    stages = stages_of(whole(start_at(folder)))
    build(stages["adopted", "av-start"], root, local())
    with pytest.raises(OtherMake, match=expected) as caught:
        build(stages["av", "sft"], root, local())
    assert "\n" not in str(caught.value)


def test_it_is_pinned_by_its_files(merged):
    recipe = whole(HubFolder(source=str(merged)))
    recipe = replace(recipe, av_start=recipe.av)
    found = pinned(recipe)
    assert found.av.start == found.av_start.start == start_at(merged)
    nowhere = HubFolder(source=str(merged / "nowhere"))
    with pytest.raises(ValueError, match=r"av.start.source=.*nowhere: nothing is there"):
        pinned(whole(nowhere))
    with pytest.raises(ValueError, match=r"av.start.revision is none for .*'a/model'"):
        pinned(whole(HubFolder(source="a/model")))


def test_adapters_on_other_weights_are_refused():
    start = ["av.start=hub_folder", "av.start.source=there", f"av.start.revision={'0' * 40}"]
    with pytest.raises(ValueError, match="AvSpec.start is there, .*set lora to none"):
        with_overrides(world_mini(), start)
    recipe = with_overrides(world_mini(), [*start, "av.lora=none"])
    assert recipe.av.start == HubFolder(source="there", revision="0" * 40)
