"""What the pair makes of rows, turn by turn, and the decoders fitted on it."""

from dataclasses import replace

import numpy as np
import pytest

from interlingua.cluster.local import LocalPool, local_context
from interlingua.recipes.world import world_mini
from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import AV_PREDICTORS
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows.keyed import keyed_choice, opened_rows
from interlingua.store.artifact import build, find
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, SplitViolation, read_consumed
from interlingua.store.rows.verbalized import (
    VERBALIZED,
    Verbalized,
    block_path,
    read_verbalized,
    write_block,
)

ANY = SplitAccess({Split.FIT, Split.TEST})
TAG = "toy-gpt2-medium"


@pytest.fixture(scope="module")
def stages():
    return {(s.kind, s.label): s for s in graph_of(world_mini())}


class Breaking(LocalPool):
    """Gives one result, then ends."""

    def map(self, worker, job, items, workers):
        results = super().map(worker, job, items, workers)
        yield next(results)
        raise KeyboardInterrupt


def linked(root, path, *, without):
    """A run root with all of another but some kinds."""
    for folder in root.iterdir():
        if folder.is_dir() and folder.name not in without:
            (path / folder.name).symlink_to(folder)
    return path


@pytest.mark.slow
def test_a_finished_block_is_not_made_again(stages, mini_nla_root, tmp_path):
    linked(mini_nla_root, tmp_path, without={"verbalized"})
    stage, placement = stages["verbalized", f"{TAG}-test"], world_mini().placement
    with pytest.raises(KeyboardInterrupt):
        build(stage, tmp_path, local_context(placement, Breaking()))
    [first] = tmp_path.glob("verbalized/*.partial/verbalized/*.parquet")
    changed = first.stat().st_mtime_ns
    artifact = build(stage, tmp_path, local_context(placement))
    assert (artifact.path / VERBALIZED / first.name).stat().st_mtime_ns == changed
    whole = find(stage, mini_nla_root)
    for predictor in AV_PREDICTORS:
        ours, theirs = (
            read_verbalized(a.path, Split.TEST, predictor, ANY) for a in (artifact, whole)
        )
        assert ours.rows == theirs.rows and ours.rows
        np.testing.assert_array_equal(ours.a_NE, theirs.a_NE)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(5, 7), (7, 5), (16, 3), (3, 16)])
def test_a_run_that_goes_on_with_blocks_of_another_size_says_what_an_unbroken_one_says(
    first, second, stages, mini_nla_root, tmp_path
):
    linked(mini_nla_root, tmp_path, without={"verbalized"})
    stage, placement = stages["verbalized", f"{TAG}-test"], world_mini().placement
    in_first, in_second = (
        replace(placement, verbalizing=replace(placement.verbalizing, block_rows=rows))
        for rows in (first, second)
    )
    with pytest.raises(KeyboardInterrupt):
        build(stage, tmp_path, local_context(in_first, Breaking()))
    artifact, whole = (
        build(stage, tmp_path, local_context(in_second)),
        find(stage, mini_nla_root),
    )
    for predictor in AV_PREDICTORS:
        ours, theirs = (
            read_verbalized(a.path, Split.TEST, predictor, ANY) for a in (artifact, whole)
        )
        assert [(key, row.text) for key, row in zip(ours.keys, ours.rows, strict=True)] == [
            (key, row.text) for key, row in zip(theirs.keys, theirs.rows, strict=True)
        ]


@pytest.mark.slow
def test_the_record_of_a_resumed_run_counts_every_attempt(stages, mini_nla_root, tmp_path):
    linked(mini_nla_root, tmp_path, without={"verbalized"})
    stage, placement = stages["verbalized", f"{TAG}-test"], world_mini().placement
    small = replace(placement, verbalizing=replace(placement.verbalizing, block_rows=5))
    with pytest.raises(KeyboardInterrupt):
        build(stage, tmp_path, local_context(small, Breaking()))
    record = build(stage, tmp_path, local_context(small)).record
    whole = find(stage, mini_nla_root).record.metrics
    for name in ("num_rows", "num_tokens", "num_unparsable"):
        assert record.metrics[name] == whole[name], name
    assert record.num_attempts == 2


@pytest.mark.slow
def test_blocks_of_another_size_say_the_same(stages, mini_nla_root, tmp_path):
    linked(mini_nla_root, tmp_path, without={"verbalized"})
    stage, placement = stages["verbalized", f"{TAG}-test"], world_mini().placement
    small = replace(placement, verbalizing=replace(placement.verbalizing, block_rows=5))
    artifact = build(stage, tmp_path, local_context(small))
    assert len(list((artifact.path / VERBALIZED).iterdir())) == 4 * len(AV_PREDICTORS)
    whole = find(stage, mini_nla_root)
    for predictor in AV_PREDICTORS:
        ours, theirs = (
            read_verbalized(a.path, Split.TEST, predictor, ANY) for a in (artifact, whole)
        )
        assert [row.text for row in ours.rows] == [row.text for row in theirs.rows]


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["toy-qwen3-1p7b", TAG, "toy-lfm-7b"])
def test_every_turn_speaks_of_the_same_activations(tag, stages, mini_nla_root):
    artifact = find(stages["verbalized", f"{tag}-test"], mini_nla_root)
    rows = opened_rows(find(stages["activations", f"{tag}-test"], mini_nla_root), ["test"], ANY)
    recipe = world_mini()
    chosen = keyed_choice(rows.finite_keys(), recipe.evaluation.rows, seed=recipe.speaking.seed)
    for predictor in AV_PREDICTORS:
        said = read_verbalized(artifact.path, Split.TEST, predictor, ANY)
        samples = recipe.evaluation.samples if predictor is Predictor.SAMPLED else 1
        assert said.keys == [key for key in chosen for _ in range(samples)], predictor
        assert [row.sample for row in said.rows] == list(range(samples)) * len(chosen)


@pytest.mark.slow
def test_nothing_fitted_has_seen_test(stages, mini_nla_root):
    seen = {
        name: set(read_consumed(artifact.path / LEDGER_NAME))
        for name, stage in stages.items()
        if (artifact := find(stage, mini_nla_root)) and (artifact.path / LEDGER_NAME).exists()
    }
    for tag in world_mini().roles():
        assert seen["verbalized", f"{tag}-fit"] == seen["decoder", tag] == {Split.FIT}
        assert seen["verbalized", f"{tag}-test"] == {Split.TEST}
    trained = {"host", "encoder", "av", "ar", "decoder", "oracle"}
    assert not [name for name in seen if name[0] in trained and Split.TEST in seen[name]]


@pytest.mark.slow
def test_a_decoder_records_its_fit_and_no_score(stages, mini_nla_root):
    metrics = find(stages["decoder", TAG], mini_nla_root).record.metrics
    assert "num_unread" in metrics and not [name for name in metrics if "fve" in name]


def test_of_hosts_that_lost_different_rows_the_others_are_chosen_alike():
    keys = [(f"{number:016x}", place) for number in range(200) for place in (3, 9)]
    chosen = keyed_choice(keys, 50, seed=1)
    assert len(chosen) == 50 and chosen == sorted(chosen, key=keys.index)
    lost = set(chosen[:2])
    left = keyed_choice([key for key in keys if key not in lost], 50, seed=1)
    assert len(set(left) & set(chosen)) == 48
    assert keyed_choice(keys, 50, seed=2) != chosen
    assert keyed_choice(keys[::-1], 50, seed=1) == chosen[::-1]
    assert keyed_choice(keys, 1000, seed=1) == keys


def said_once(predictor, split=Split.TEST, explanation="said"):
    return Verbalized(
        passage_id="a", position=-1, split=split, predictor=predictor, sample=0, text="said",
        explanation=explanation, num_tokens=2, log_prob=-1.5,
    )  # fmt: skip


def test_a_predictor_that_has_no_rows_is_empty_and_no_error(tmp_path):
    """As where only the teacher knows what is true of a token."""
    (tmp_path / VERBALIZED).mkdir()
    write_block(block_path(tmp_path, 0), [said_once(Predictor.TEACHER)], np.ones((1, 4)))
    nothing = read_verbalized(tmp_path, Split.TEST, Predictor.ALL_FACTS, ANY)
    assert (nothing.keys, nothing.rows, nothing.a_NE.shape) == ([], [], (0, 4))
    access = SplitAccess({Split.TEST})
    assert read_verbalized(tmp_path, Split.TEST, Predictor.TEACHER, access).keys == [("a", -1)]
    assert access.consumed() == {Split.TEST: {"a"}}


def test_predictors_and_splits_are_read_apart(tmp_path):
    (tmp_path / VERBALIZED).mkdir()
    rows = [
        said_once(Predictor.SAMPLED),
        said_once(Predictor.GREEDY, explanation=None),
        said_once(Predictor.SAMPLED, Split.FIT),
    ]
    write_block(block_path(tmp_path, 0), rows, np.array([[1.0, 2], [np.nan, np.nan], [5, 6]]))
    found = read_verbalized(tmp_path, Split.FIT, Predictor.SAMPLED, ANY)
    assert found.rows == rows[2:] and found.a_NE.tolist() == [[5, 6]]
    lost = read_verbalized(tmp_path, Split.TEST, Predictor.GREEDY, ANY)
    assert lost.rows == rows[1:2] and np.isnan(lost.a_NE).all()
    with pytest.raises(SplitViolation):
        read_verbalized(tmp_path, Split.TEST, Predictor.SAMPLED, SplitAccess({Split.FIT}))
