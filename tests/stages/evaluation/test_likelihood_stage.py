"""NLL per token in an evaluation is that of the AV, text by text, whoever computes it and where."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.built import built_inputs

from interlingua.cluster.local import local_context
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of
from interlingua.models.pair.prompts import av_prompt, response_ids
from interlingua.models.pair.trained import trained_verbalizer
from interlingua.recipes.registry import world_mini
from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.stages.evaluation import likelihood, likelihood_rows
from interlingua.stages.graph.order import graph_of
from interlingua.stages.maps.space import opened_space
from interlingua.stages.nla.pair import av_training_of
from interlingua.stages.rows.keyed import opened_rows
from interlingua.stages.sft.best_weights import AV_PREFIX, weights_of
from interlingua.store.artifact import find
from interlingua.store.hosts import opened_from
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.likelihood import read_likelihood
from interlingua.store.rows.scored import read_scored
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed

pytestmark = pytest.mark.slow

TAG, HELD_OUT = "toy-gpt2-medium", "toy-lfm-7b"
RECIPE = world_mini()
STAGES = {(stage.kind, stage.label): stage for stage in graph_of(RECIPE)}
STAGE = STAGES["likelihood", TAG]
ACCESS = SplitAccess({Split.TEST})


@pytest.fixture(scope="module")
def inputs(mini_nla_root):
    return built_inputs(STAGE, mini_nla_root)


@pytest.fixture(scope="module")
def artifact(mini_nla_root):
    return find(STAGE, mini_nla_root)


@pytest.fixture(scope="module")
def rows(artifact):
    return read_likelihood(artifact.path)


@pytest.fixture
def run_again(mini_nla_root, tmp_path, inputs):
    """Run the stage anew, under another placement, in a root of its own."""
    root = tmp_path / "root"
    root.mkdir()
    for kind in mini_nla_root.iterdir():
        if kind.is_dir() and kind.name != "likelihood":
            (root / kind.name).symlink_to(kind)

    def run(spec=STAGE.spec, **changes):
        place = replace(RECIPE.placement.verbalizing, **changes)
        context = local_context(replace(RECIPE.placement, verbalizing=place))
        out = root / "likelihood" / "again"
        out.mkdir(parents=True)
        counts = likelihood.run(spec, inputs, out, context)
        return read_likelihood(out), counts

    return run


def test_every_host_has_the_rows_that_are_scored(mini_nla_root):
    for tag in RECIPE.roles():
        rows = read_likelihood(find(STAGES["likelihood", tag], mini_nla_root).path)
        scored = read_scored(find(STAGES["scored", tag], mini_nla_root).path)
        own = scored.of(tag, Predictor.TEACHER)
        assert set(rows["passage_id"].tolist()) == set(own["passage_id"].tolist())
        assert set(rows["host"].tolist()) == {tag}
        assert rows["document_id"].tolist() == rows["passage_id"].tolist()
        assert len(rows) == 16 * RECIPE.av_lessons.samples


def test_what_it_read_is_noted(artifact, rows):
    consumed = read_consumed(artifact.path / LEDGER_NAME)
    assert consumed.keys() == {Split.TEST}
    assert set(rows["passage_id"].tolist()) <= consumed[Split.TEST]


def test_a_loss_is_that_of_the_av_alone(rows, inputs):
    """Made again row by row, without batches, from the AV and the vectors themselves."""
    av = av_training_of(inputs.writer.av).av
    source, revision = opened_from(inputs.writer.trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    space = opened_space(inputs.encoders, anchor=RECIPE.anchor, centring=av.injection.centring)
    weights = weights_of(inputs.writer.av, AV_PREFIX)
    verbalizer = trained_verbalizer(source, av, weights, revision=revision, device="cpu")
    prompt = av_prompt(contract_of(tokenizer, space.width, av=av), tokenizer, TAG)
    explained = read_explanations(inputs.explanations.path, {Split.TEST}, ACCESS)
    keyed = opened_rows(inputs.rows, [Split.TEST], ACCESS)
    keys = list(zip(rows["passage_id"].tolist(), rows["position"].tolist(), strict=True))
    v_NE = torch.from_numpy(space.v_of(TAG, keyed.vectors(keys)))

    def nll(v_1E, row):
        text = explained[keys[row]][rows["sample"][row]]
        ids = torch.tensor([response_ids(tokenizer, text)])
        assert ids.shape[1] == rows["num_tokens"][row]
        with torch.no_grad():
            return float(verbalizer.nll(prompt, v_1E, ids).double().sum())

    for row in (0, 5, len(keys) - 1):
        assert rows["nll_own"][row] == pytest.approx(nll(v_NE[row : row + 1], row), rel=1e-5)
        zero = nll(torch.zeros(1, space.width), row)
        assert rows["nll_zero"][row] == pytest.approx(zero, rel=1e-5)
        # Of some other document, and of none of its own.
        others = [at for at in range(len(keys)) if keys[at][0] != keys[row][0]]
        found = [nll(v_NE[at : at + 1], row) for at in others]
        assert np.abs(np.array(found) - rows["nll_shuffled"][row]).min() < 1e-4


@pytest.mark.parametrize("place", [{"block_rows": 3, "batch_rows": 2}, {"batch_rows": 1}])
def test_where_it_runs_changes_no_number(place, rows, run_again):
    again, _ = run_again(**place)
    for name in ("passage_id", "sample", "num_tokens"):
        assert again[name].tolist() == rows[name].tolist()
    for name in ("nll_own", "nll_shuffled", "nll_zero"):
        np.testing.assert_allclose(again[name], rows[name], rtol=1e-5)


def test_a_row_without_a_vector_is_left_out_and_counted(rows, run_again, monkeypatch):
    victim = rows["passage_id"][0]
    opened = likelihood_rows.opened_rows

    class Spoilt:
        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            return getattr(self._real, name)

        def vectors(self, keys):
            h_ND = self._real.vectors(keys).copy()
            h_ND[[key[0] == victim for key in keys]] = 0
            return h_ND

    monkeypatch.setattr(likelihood_rows, "opened_rows", lambda *args: Spoilt(opened(*args)))
    left, counts = run_again()
    assert victim not in left["passage_id"].tolist()
    assert counts["num_without_vector"] == 1 and counts["num_rows"] == len(left)
    assert counts["num_activations"] == 16


def test_texts_that_do_not_fit_leave_nothing_to_score(run_again, monkeypatch):
    usable = likelihood_rows.usable_texts
    monkeypatch.setattr(
        likelihood_rows, "usable_texts", lambda writer, explained: usable(writer, {})
    )
    with pytest.raises(ValueError, match=f"{TAG}: no row of test has both .* raise av"):
        run_again()


def test_a_likelihood_of_a_pair_behind_a_url_is_not_asked_for():
    from interlingua.stages.graph.served import served_stages

    stages = served_stages(RECIPE, "d", None)
    [evaluation] = [stage for stage in stages if stage.kind == "evaluation"]
    assert evaluation.inputs.likelihood == {}
    assert {stage.kind for stage in stages} & {"nearest", "likelihood"} == {"nearest"}
