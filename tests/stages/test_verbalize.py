"""What the pair makes of rows, the decoders fitted on it, and numbers that rows alone give."""

import numpy as np
import pytest

from interlingua.core.geometry import rescale, unit
from interlingua.specs.splits import Split
from interlingua.stages.backend import Context, LocalPool
from interlingua.stages.decode import BLOCK_ROWS
from interlingua.stages.graph import graph_of
from interlingua.stages.rows import KeyedRows
from interlingua.stages.verbalize import GREEDY, SAMPLED
from interlingua.store.artifact import build, find
from interlingua.store.maps import Decoder, read_decoder
from interlingua.store.splits import LEDGER_NAME, SplitAccess, read_consumed
from interlingua.store.verbalized import VERBALIZED, Verbalized, read_verbalized, write_block
from jobs.recipes import world_mini

pytestmark = pytest.mark.slow

ANY = SplitAccess({Split.FIT, Split.DEV})


@pytest.fixture(scope="module")
def stages():
    return {(s.kind, s.label): s for s in graph_of(world_mini())}


class Breaking(LocalPool):
    """Gives one result, then ends."""

    def map(self, worker, job, items, workers):
        results = super().map(worker, job, items, workers)
        yield next(results)
        raise KeyboardInterrupt


def test_a_finished_block_is_not_made_again(stages, mini_nla_root, tmp_path):
    for folder in mini_nla_root.iterdir():
        if folder.name != "verbalized":
            (tmp_path / folder.name).symlink_to(folder)
    stage, placement = stages["verbalized", "gpt2-medium"], world_mini().placement
    with pytest.raises(KeyboardInterrupt):
        build(stage, tmp_path, Context(placement, Breaking()))
    [first] = tmp_path.glob("verbalized/*.partial/verbalized/*.parquet")
    changed = first.stat().st_mtime_ns
    artifact = build(stage, tmp_path, Context(placement, LocalPool()))
    assert (artifact.path / VERBALIZED / first.name).stat().st_mtime_ns == changed
    whole = find(stage, mini_nla_root)
    for split, manner in ((Split.FIT, SAMPLED), (Split.DEV, SAMPLED), (Split.DEV, GREEDY)):
        ours, theirs = (read_verbalized(a.path, split, manner, ANY) for a in (artifact, whole))
        assert ours.rows == theirs.rows
        np.testing.assert_array_equal(ours.a_NE, theirs.a_NE)


@pytest.mark.parametrize("kind", ["verbalized", "decoder", "bundle"])
def test_nothing_after_the_training_has_seen_test(kind, stages, mini_nla_root):
    for (found, _), stage in stages.items():
        artifact = find(stage, mini_nla_root)
        if found == kind and (artifact.path / LEDGER_NAME).exists():
            assert read_consumed(artifact.path / LEDGER_NAME).keys() == {Split.FIT, Split.DEV}


def made_up(stages, root, *, num_lost=0):
    """Texts and vectors of a listener that hears the encoder's own v, as if nothing were lost."""
    host = stages["verbalized", "gpt2-medium"].inputs
    rows = {
        split: KeyedRows(find(host[split.value], root), 0, {split}, ANY)
        for split in (Split.FIT, Split.DEV)
    }
    return [
        (split, manner, keys := rows[split].finite_keys()[num_lost:], rows[split].vectors(keys))
        for split, manner in ((Split.FIT, SAMPLED), (Split.DEV, SAMPLED), (Split.DEV, GREEDY))
    ]


def test_a_decoder_of_perfect_words_rebuilds_and_lost_texts_count_as_the_mean(
    stages, mini_nla_root, tmp_path
):
    for folder in mini_nla_root.iterdir():
        if folder.name not in {"verbalized", "decoder", "bundle"}:
            (tmp_path / folder.name).symlink_to(folder)
    real = find(stages["verbalized", "gpt2-medium"], mini_nla_root)
    fake = tmp_path / "verbalized" / real.path.name
    (fake / VERBALIZED).mkdir(parents=True)
    (fake / "artifact.json").write_bytes((real.path / "artifact.json").read_bytes())
    for index, (split, manner, keys, h_ND) in enumerate(made_up(stages, mini_nla_root)):
        # Greedy texts of `dev` are all lost.
        is_lost = manner == GREEDY
        rows = [
            Verbalized(
                passage_id=passage_id, position=position, split=split, manner=manner, sample=0,
                text="", explanation=None if is_lost else "said", num_tokens=3, log_prob=-1.0,
            )
            for passage_id, position in keys
        ]  # fmt: skip
        a_NE = np.full_like(h_ND, np.nan) if is_lost else h_ND * 3
        write_block(fake / VERBALIZED / f"{index:06d}.parquet", rows, a_NE)
    artifact = build(
        stages["decoder", "gpt2-medium"], tmp_path, Context(world_mini().placement, LocalPool())
    )
    metrics = artifact.record.metrics
    assert metrics["sampled/fve_centred_own"] > 0.9 and metrics["sampled/unparsable"] == 0
    assert metrics["greedy/unparsable"] == 1 and metrics["greedy/unique_share"] == 0
    decoder = read_decoder(artifact.path)
    _, _, _, gold_ND = made_up(stages, mini_nla_root)[2]
    # The mean alone, by hand.
    direction_ND = unit(gold_ND)
    errors_N = 2 * (1 - direction_ND @ unit(decoder.mean_D[None])[0])
    variances_N = ((direction_ND - direction_ND.mean(0)) ** 2).sum(1)
    expected = 1 - errors_N.sum() / variances_N.sum()
    assert metrics["greedy/fve_centred_own"] == pytest.approx(expected, rel=1e-4)
    assert expected <= 0


def test_a_decoder_is_the_affine_map_of_the_method():
    rng = np.random.default_rng(0)
    decoder = Decoder(
        weight_DE=rng.normal(size=(4, 3)), centre_E=rng.normal(size=3), mean_D=rng.normal(size=4)
    )
    a_NE = rescale(rng.normal(size=(5, 3)))
    a_NE[2] = np.nan
    found_ND = decoder(a_NE)
    expected_D = decoder.mean_D + decoder.weight_DE @ (a_NE[0] - decoder.centre_E)
    np.testing.assert_allclose(found_ND[0], expected_D)
    np.testing.assert_array_equal(found_ND[2], decoder.mean_D)
    assert len(a_NE) < BLOCK_ROWS
