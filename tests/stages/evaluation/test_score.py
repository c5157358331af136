"""Scores of texts and vectors whose truth is known: perfect words, lost ones, wrong ones."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.built import built_inputs
from tests.forging import publish_again

from interlingua.cluster.local import local_context
from interlingua.core.geometry import rescale, unit
from interlingua.core.metrics import derangement
from interlingua.recipes.world import world_mini
from interlingua.report.from_rows import Recorded, numbers_of
from interlingua.report.gates.evidence import Evidence
from interlingua.report.gates.gates import gates_of
from interlingua.specs.evaluation import GateName, Predictor
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows.keyed import keyed_choice, opened_rows
from interlingua.store.artifact import build, find
from interlingua.store.maps import read_decoder, read_encoder
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.scored import read_scored
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess
from interlingua.store.rows.verbalized import VERBALIZED, Verbalized, block_path, write_block

pytestmark = pytest.mark.slow

TAG = "toy-gpt2-medium"
WORD_READERS = (Predictor.BAG_OF_WORDS, Predictor.WORD_NETWORK, Predictor.WORD_PAIRS)
ANY = SplitAccess({Split.FIT, Split.TEST})
CONTEXT = local_context(world_mini().placement)
STAGES = {(stage.kind, stage.label): stage for stage in graph_of(world_mini())}
SCORED, DECODER = STAGES["scored", TAG], STAGES["decoder", TAG]
FIT_TEXTS, TEST_TEXTS = (STAGES["verbalized", f"{TAG}-{split}"] for split in ("fit", "test"))
LINKED = {
    "passages", "host", "activations", "encoder", "explanations", "av", "ar", "reconstructed",
    "nearest",
}  # fmt: skip
NUM_LOST, NUM_WORDS = 3, 6


def target_rows(split, root):
    return opened_rows(find(STAGES["activations", f"{TAG}-{split}"], root), [split], ANY)


def words_of(h_ND, mean_D, axes_WD):
    """An explanation that says on which side of some planes a vector lies."""
    sides_NW = (rescale(h_ND) - mean_D) @ axes_WD.T > 0
    return [" ".join(f"d{w}{'pm'[int(s)]}" for w, s in enumerate(row)) for row in sides_NW]


class Pretence:
    """Texts and vectors of a pair that hears h itself, as if nothing were lost in words."""

    def __init__(self, root):
        self.root = root
        self.fit, self.test = target_rows(Split.FIT, root), target_rows(Split.TEST, root)
        fit_ND = rescale(self.fit.vectors(self.fit.finite_keys()))
        self.mean_D = fit_ND.mean(axis=0)
        self.axes_WD = np.linalg.svd(fit_ND - self.mean_D)[2][:NUM_WORDS]
        # Those that the nearest rows were looked up for.
        evaluation, seed = world_mini().evaluation, world_mini().speaking.seed
        self.keys = sorted(keyed_choice(self.test.finite_keys(), evaluation.rows, seed=seed))

    def words(self, h_ND):
        return words_of(h_ND, self.mean_D, self.axes_WD)

    def of_fit(self):
        """The one block of `fit`."""
        keys = self.fit.finite_keys()
        h_ND = self.fit.vectors(keys)
        yield Predictor.SAMPLED, 0, keys, self.words(h_ND), 3 * h_ND

    def of_test(self):
        """A block for every predictor; greedy texts are all lost, and some of the second sample."""
        h_ND = self.test.vectors(self.keys)
        other_N = derangement(np.array([key for key, _ in self.keys]), seed=5)
        nothing_ND = np.full_like(h_ND, np.nan)
        lost = [None] * len(self.keys)
        some_ND, some = h_ND.copy(), self.words(h_ND)
        some_ND[:NUM_LOST], some[:NUM_LOST] = np.nan, lost[:NUM_LOST]
        same_ND = np.tile(h_ND[:1], (len(h_ND), 1))
        yield Predictor.SAMPLED, 0, self.keys, self.words(h_ND), 3 * h_ND
        yield Predictor.SAMPLED, 1, self.keys, some, some_ND
        yield Predictor.GREEDY, 0, self.keys, lost, nothing_ND
        yield Predictor.SHUFFLED_VECTORS, 0, self.keys, self.words(h_ND[other_N]), h_ND[other_N]
        yield Predictor.ZERO_VECTOR, 0, self.keys, self.words(same_ND), same_ND
        yield Predictor.UNTRAINED, 0, self.keys, lost, nothing_ND


def pretend(stage, split, blocks, root, real_root):
    """Put the blocks where the stage's own would be, under its record and ledger."""
    real = find(stage, real_root)
    fake = root / "verbalized" / real.path.name
    (fake / VERBALIZED).mkdir(parents=True)
    for name in ("artifact.json", LEDGER_NAME):
        shutil.copyfile(real.path / name, fake / name)
    for index, (predictor, sample, keys, texts, a_NE) in enumerate(blocks):
        rows = [
            Verbalized(
                passage_id=passage_id, position=position, split=split, predictor=predictor,
                sample=sample, text=text or "cut", explanation=text, num_tokens=3, log_prob=-1.0,
            )
            for (passage_id, position), text in zip(keys, texts, strict=True)
        ]  # fmt: skip
        write_block(block_path(fake, index), rows, a_NE)
    publish_again(fake)


@pytest.fixture(scope="module")
def pretence(mini_nla_root):
    return Pretence(mini_nla_root)


@pytest.fixture(scope="module")
def root(pretence, mini_nla_root, tmp_path_factory):
    path = tmp_path_factory.mktemp("scored")
    for name in LINKED:
        (path / name).symlink_to(mini_nla_root / name)
    pretend(FIT_TEXTS, Split.FIT, pretence.of_fit(), path, mini_nla_root)
    pretend(TEST_TEXTS, Split.TEST, pretence.of_test(), path, mini_nla_root)
    build(DECODER, path, CONTEXT)
    return path


@pytest.fixture(scope="module")
def artifact(root):
    return build(SCORED, root, CONTEXT)


@pytest.fixture(scope="module")
def rows(artifact):
    return read_scored(artifact.path)


def fve(rows, predictor, sample=None):
    own = rows.of(TAG, predictor)
    own = own if sample is None else own.where(own["sample"] == sample)
    return 1 - own["nmse"].sum() / own["own_variance"].sum()


def targets_of(own, pretence):
    keys = zip(own["passage_id"].tolist(), own["position"].tolist(), strict=True)
    place = {key: place for place, key in enumerate(pretence.keys)}
    h_ND = pretence.test.vectors(pretence.keys).astype(np.float64)
    return h_ND[[place[key] for key in keys]]


def test_every_predictor_has_the_same_activations(rows, artifact, pretence):
    # A passage of the world is a document of its own, and has one row.
    there = [predictor for predictor in Predictor if predictor != Predictor.SAME_DOCUMENT]
    assert rows.predictors() == [predictor.value for predictor in there]
    assert rows["document_id"].tolist() == rows["passage_id"].tolist()
    keys = {key for key, _ in pretence.keys}
    for predictor in there:
        own = rows.of(TAG, predictor)
        is_twice = predictor in {Predictor.SAMPLED, Predictor.SHUFFLED_EXPLANATIONS, *WORD_READERS}
        assert (set(own["passage_id"]), len(own)) == (keys, 16 * (1 + is_twice)), predictor
        assert set(own["num_rivals"]) == {16} and own["rank"].min() > 0
    counts = [artifact.record.metrics[f"num_{n}"] for n in ("activations", "dropped", "rows")]
    assert counts == [16, 0, len(rows)]


def test_perfect_words_rebuild_and_find_their_own(rows):
    assert fve(rows, Predictor.SAMPLED, sample=0) > 0.9
    first = rows.of(TAG, Predictor.SAMPLED)
    ranks = first["rank"][first["sample"] == 0]
    assert (ranks == 1).sum() >= 15 and len(ranks) == 16


def test_a_lost_text_predicts_nothing(rows):
    second = rows.where((rows["predictor"] == Predictor.SAMPLED) & (rows["sample"] == 1))
    assert second["is_failed"].sum() == NUM_LOST
    lost = [second.where(second["is_failed"]), rows.of(TAG, Predictor.GREEDY)]
    for predictor in WORD_READERS:
        lost.append(rows.of(TAG, predictor).where(rows.of(TAG, predictor)["is_failed"]))
    others = rows.of(TAG, Predictor.SHUFFLED_EXPLANATIONS)
    lost.append(others.where(others["is_failed"]))
    assert [len(each) for each in lost] == [NUM_LOST, 16, *[NUM_LOST] * 4]
    for each in lost:
        assert (each["nmse"] == 2).all() and (each["cos"] == 0).all()
        assert (each["rank"] == each["rank"].max()).all() and each["rank"].max() > 1
    assert (second.where(~second["is_failed"])["nmse"] < 0.5).all()
    assert (others.where(~others["is_failed"])["nmse"] != 2).all()


def test_a_row_says_what_the_maps_make_of_its_vector(rows, root, pretence):
    decoder = read_decoder(find(DECODER, root).path)
    own = rows.of(TAG, Predictor.SAMPLED).where(rows.of(TAG, Predictor.SAMPLED)["sample"] == 0)
    target_ND = targets_of(own, pretence)
    a_NE = 32**0.5 * target_ND / np.linalg.norm(target_ND, axis=1, keepdims=True)
    predicted_ND = decoder.mean_D + (a_NE - decoder.centre_E) @ decoder.weight_DE.T
    direction_ND = target_ND / np.linalg.norm(target_ND, axis=1, keepdims=True)
    lengths_N = np.linalg.norm(predicted_ND, axis=1)
    cos_N = (predicted_ND * direction_ND).sum(1) / lengths_N
    # Of all rows, for the variance is that of the predictor.
    all_ND = unit(targets_of(rows.of(TAG, Predictor.SAMPLED), pretence))
    expected = {
        "cos": cos_N,
        "nmse": 2 * (1 - cos_N),
        "linear_error": ((predicted_ND / 32**0.5 - direction_ND) ** 2).sum(1),
        "own_variance": ((direction_ND - all_ND.mean(0)) ** 2).sum(1),
        "raw_norm": np.linalg.norm(target_ND, axis=1),
        "shuffled_nmse": 2 * (1 - (predicted_ND / lengths_N[:, None]) @ all_ND.mean(0)),
    }
    for name, values_N in expected.items():
        np.testing.assert_allclose(own[name], values_N, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_variance_of_fit_is_of_the_rows_of_fit(rows, pretence):
    fit_ND = unit(pretence.fit.vectors(pretence.fit.finite_keys()).astype(np.float64))
    [found] = set(rows["train_variance"].tolist())
    assert found == pytest.approx(1 - np.linalg.norm(fit_ND.mean(0)) ** 2, rel=1e-5)


def test_categories_are_languages(rows, root, pretence):
    path = find(STAGES["passages", "world"], root).path / PASSAGES_NAME
    read = read_passages(path, {Split.TEST}, SplitAccess({Split.TEST}))
    facts = {passage.passage_id: passage.facts for passage in read}
    own = rows.of(TAG, Predictor.GREEDY)
    languages_N = np.array([facts[i]["language"] for i in own["passage_id"]])
    assert 1 < len(set(languages_N)) < len(languages_N)
    direction_ND = unit(targets_of(own, pretence))
    for language in set(languages_N):
        part_ND = direction_ND[languages_N == language]
        expected_N = ((part_ND - part_ND.mean(0)) ** 2).sum(1)
        found_N = own["category_variance"][languages_N == language]
        np.testing.assert_allclose(found_N, expected_N, atol=1e-9)
    for identity, true in zip(own["passage_id"], own["true"], strict=True):
        own_facts = {f"{name}={value}" for name, value in facts[identity].items()}
        assert {*true} <= own_facts and f"topic={facts[identity]['topic']}" in true


@pytest.mark.parametrize(
    "predictor", [Predictor.TEACHER, Predictor.GENERAL_FACTS, Predictor.ALL_FACTS]
)
def test_who_tells_the_truth_names_true_facts_only(predictor, rows):
    own = rows.of(TAG, predictor)
    pairs = zip(own["said"].tolist(), own["true"].tolist(), strict=True)
    assert all(said and {*said} <= {*true} for said, true in pairs)
    assert (own["num_worded"] == own["num_clauses"]).all()  # in the teacher's wordings alone
    assert own["num_clauses"].tolist() == [len(said) for said in own["said"]]


def test_ways_without_words_or_without_an_ar_are_sane(rows):
    # The ridge of 59 rows into the anchor's space keeps most of a vector, but not its length.
    assert 0.5 < fve(rows, Predictor.ENCODER) < fve(rows, Predictor.SAMPLED, sample=0)
    for predictor in WORD_READERS:
        lost = rows.of(TAG, predictor)["is_failed"].reshape(2, -1)[1]
        assert lost.sum() == NUM_LOST
        assert 0.1 < fve(rows, predictor, sample=0) < fve(rows, Predictor.SAMPLED, sample=0)


@pytest.mark.parametrize(
    "predictor",
    [
        Predictor.SHUFFLED_EXPLANATIONS, Predictor.SHUFFLED_VECTORS, Predictor.ZERO_VECTOR,
        Predictor.UNTRAINED, Predictor.CONSTANT_EXPLANATION, Predictor.CONSTANT_VECTOR,
        Predictor.GREEDY,
    ],
)  # fmt: skip
def test_what_knows_nothing_of_the_row_scores_nothing(predictor, rows):
    assert fve(rows, predictor) < 0


def test_the_constant_explanation_is_chosen_on_fit(rows, root, pretence):
    decoder = read_decoder(find(DECODER, root).path)
    fit_ND = pretence.fit.vectors(pretence.fit.finite_keys()).astype(np.float64)
    candidates_ND = (
        decoder.mean_D + (32**0.5 * unit(fit_ND) - decoder.centre_E) @ decoder.weight_DE.T
    )
    own = rows.of(TAG, Predictor.CONSTANT_EXPLANATION)
    target_ND = targets_of(own, pretence)

    def nmse_of_each(by_ND):
        return 2 * (1 - unit(candidates_ND) @ unit(by_ND).T)

    chosen, looked_up = (int(nmse_of_each(by).mean(1).argmin()) for by in (fit_ND, target_ND))
    assert chosen != looked_up  # what would suit the scored rows is another
    np.testing.assert_allclose(own["nmse"], nmse_of_each(target_ND)[chosen], atol=1e-5)


def test_the_constant_is_the_mean_of_fit(rows, root, pretence):
    mean_D = read_encoder(find(STAGES["encoder", TAG], root).path).mean_D
    own = rows.of(TAG, Predictor.CONSTANT_VECTOR)
    cos_N = unit(targets_of(own, pretence)) @ (mean_D / np.linalg.norm(mean_D))
    np.testing.assert_allclose(own["cos"], cos_N, atol=1e-9)
    np.testing.assert_allclose(mean_D, pretence.mean_D, atol=1e-4)
    assert (own["rank"] == 16).all()  # it is nobody's in particular


def test_gates_that_need_no_other_host_pass_perfect_words(rows):
    rows = rows.where(rows["sample"] == 0)
    numbers = numbers_of(Recorded(rows=rows, likelihood=None), seed=0, num_draws=100)
    found = Evidence(
        rows=rows, numbers=numbers, start=None, num_asked=16, num_dropped=0, num_checked=1
    )
    passed = {gate.name: gate.is_passed for gate in gates_of(found, ())}
    assert passed[GateName.MISSING_ROWS] and passed[GateName.NON_FINITE]
    assert passed[GateName.TAG_FAILURES] and passed[GateName.IGNORES_VECTOR]


def test_an_activation_without_direction_is_dropped_and_counted(rows, root, monkeypatch, tmp_path):
    from interlingua.stages.evaluation import score, scoring

    class Spoilt:
        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            return getattr(self._real, name)

        def vectors(self, keys):
            h_ND = self._real.vectors(keys).copy()
            h_ND[[key == victim for key in keys]] = 0
            return h_ND

    victim = (rows["passage_id"][0], int(rows["position"][0]))
    opened = scoring.opened_rows
    monkeypatch.setattr(scoring, "opened_rows", lambda *args: Spoilt(opened(*args)))
    inputs = built_inputs(SCORED, root)
    (out := root / "scored" / tmp_path.name).mkdir(parents=True)
    metrics = score.run(SCORED.spec, inputs, out, CONTEXT)
    assert (metrics["num_activations"], metrics["num_dropped"]) == (16, 1)
    left = read_scored(out)
    assert victim[0] not in set(left["passage_id"]) and len(left) == metrics["num_rows"]
    assert left.predictors() == rows.predictors() and set(left["num_rivals"]) == {15}


def test_another_seed_pairs_otherwise_and_changes_nothing_else(rows, root, artifact, tmp_path):
    other = build(replace(SCORED, spec=replace(SCORED.spec, seed=77)), root, CONTEXT)
    found = read_scored(other.path)
    for predictor in Predictor:
        is_same = np.array_equal(found.of(TAG, predictor)["nmse"], rows.of(TAG, predictor)["nmse"])
        assert is_same == (predictor != Predictor.SHUFFLED_EXPLANATIONS)
