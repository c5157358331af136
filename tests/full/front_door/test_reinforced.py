"""A pair on a model of one's own is reinforced without a truth, from two beginnings."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tests.own_data import TAG, built, own_recipe, write_rows
from tests.own_model import save_model, texts
from tests.specs.small_rl import SPEC
from transformers import AutoModelForCausalLM, AutoTokenizer

from interlingua import NLA
from interlingua.recipes.parts import WORLD_RL
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.report.page.page import PAGE_NAME
from interlingua.specs.corpora import TextFiles
from interlingua.specs.evaluation import Predictor
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.training import HubFolder
from interlingua.stages.sft.best_weights import AV_PREFIX, weights_of
from interlingua.store.progress import DEV_EVALS_NAME

NUM_TEXTS = 160
# The world's, but for what it measures itself by and how long it lasts.
RL = replace(
    WORLD_RL,
    num_steps=4,
    activations_per_step=4,
    group_size=4,
    max_new_tokens=40,
    watch=SPEC.watch,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model, the same with other weights, and texts."""
    made = tmp_path_factory.mktemp("own")
    save_model(made / "model")
    shutil.copytree(made / "model", made / "merged")
    model = AutoModelForCausalLM.from_pretrained(made / "model")
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data += 0.01 * torch.randn(weight.shape, generator=generator)
    model.save_pretrained(made / "merged")
    AutoTokenizer.from_pretrained(made / "model").save_pretrained(made / "merged")
    told = list(enumerate(texts(NUM_TEXTS)))
    write_rows(made / "texts.jsonl", ({"id": number, "text": one} for number, one in told))
    said = ({"id": number, "explanation": " ".join(one.split()[:2])} for number, one in told)
    write_rows(made / "explanations.jsonl", said)
    return made


def recipe(folder: Path) -> Recipe:
    """Enough training for texts in their tags, and four steps of reinforcement."""
    mine = own_recipe(
        folder,
        model=HubHost(tag=TAG, source=str(folder / "model")),
        texts=TextFiles(path=str(folder / "texts.jsonl"), id_field="id"),
        block=AtBlock(index=1),
    )
    optim = replace(mine.av.optim, learning_rate=1e-2)
    watch = replace(mine.av.watch, validate_every=50, checkpoint_every=50)
    return replace(
        mine,
        av=replace(mine.av, lora=None, num_steps=100, batch_rows=16, optim=optim, watch=watch),
        speaking=replace(mine.speaking, max_new_tokens=RL.max_new_tokens),
        rl=(RL,),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def from_trunk(folder, root):
    """All artifacts of a pair that begins with the trunk."""
    return built(recipe(folder), root)


@pytest.fixture(scope="module")
def from_elsewhere(folder, root):
    """The same of one whose AV begins with another whole model."""
    mine = recipe(folder)
    start = HubFolder(source=str(folder / "merged"))
    return built(replace(mine, av=replace(mine.av, start=start)), root)


@pytest.fixture(params=["from_trunk", "from_elsewhere"])
def artifacts(request):
    return request.getfixturevalue(request.param)


def test_nothing_that_is_watched_needs_a_truth(artifacts):
    run = artifacts["rl", "rl"]
    for path in run.path.rglob("*.parquet"):
        names = pq.read_schema(path).names
        assert not [name for name in names if "fact" in name or name.startswith("said")]
    text = (run.path / DEV_EVALS_NAME).read_text()
    assert "fve_centred_own" in text
    for word in ("precision_", "said_", "facts_per_text", "worded_share"):
        assert word not in text


def test_the_policy_leaves_where_it_began(artifacts):
    """At its first evaluation it has the weights of AV_init, at the last it has others."""
    run = artifacts["rl", "rl"]
    first, *_, last = map(json.loads, (run.path / DEV_EVALS_NAME).read_text().splitlines())
    assert first["step"] == 0 and last["step"] == RL.num_steps
    assert first["tag_failure_share"] < 0.5
    assert abs(first["kl_per_token"]) < 1e-8 and last["kl_per_token"] > 1e-5


def test_the_reinforced_pair_is_evaluated_beside_its_start(artifacts):
    numbers = read_numbers(artifacts["evaluation", "own-rl"].path / NUMBERS_NAME)
    assert numbers.get(TAG, Predictor.SAMPLED, "nmse") is not None
    assert [one for one in numbers.all if "start" in one.predictor]
    page = (artifacts["report", "own"].path / PAGE_NAME).read_text()
    assert "FVE before and after RL (paired)" in page


@pytest.mark.parametrize("label", ["own", "own-rl"])
def test_both_bundles_open(artifacts, label):
    nla = NLA.load(artifacts["bundle", label].path)
    assert nla.manifest.stage == ("rl" if label == "own-rl" else "sft")
    [[one]] = nla.verbalize(texts=["the farmer carried a basket."], host=TAG, max_new_tokens=6)
    assert one.raw_text


def test_a_start_from_elsewhere_is_where_the_pair_begins(from_trunk, from_elsewhere, folder):
    trained = weights_of(from_elsewhere["av", "sft"], AV_PREFIX)
    merged, trunk = (
        dict(AutoModelForCausalLM.from_pretrained(folder / name).named_parameters())
        for name in ("merged", "model")
    )
    name = "model.layers.2.mlp.up_proj.weight"
    [key] = [one for one in trained if one.endswith(name)]
    near, far = ((trained[key] - one[name]).norm() for one in (merged, trunk))
    assert near < far
    assert (
        from_trunk["rl", "rl"].record.fingerprint != from_elsewhere["rl", "rl"].record.fingerprint
    )
