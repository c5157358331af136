"""A bundle opened without Ray: it does what its stages did, and nothing else is let in."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from interlingua.cluster.local import LocalPool, LocalTrainer, local_context
from interlingua.core.geometry import cosine
from interlingua.models.bundle.nla import NLA
from interlingua.models.bundle.system import Completes, Patches, ScoresText
from interlingua.models.bundle.verbalization import Verbalization, round_trips_of
from interlingua.models.hosts.parts import text_config
from interlingua.models.pair.prompts import response_ids
from interlingua.recipes.world import world_mini
from interlingua.specs.evaluation import Predictor
from interlingua.specs.extraction import LastToken, Spans, TokenPositions
from interlingua.specs.injection import Full, LowRank
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import build, find
from interlingua.store.bundle import MANIFEST_NAME, BundleDamaged, NotABundle, manifest_sha256
from interlingua.store.contract.statement import ContractMismatch
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import read_verbalized

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def passages(stages, mini_nla_root):
    path = find(stages["passages/world"], mini_nla_root).path / PASSAGES_NAME
    read = read_passages(path, {Split.TEST}, SplitAccess({Split.TEST}))
    return {passage.passage_id: passage.text for passage in read}


@pytest.mark.parametrize("tag", ["toy-qwen3-1p7b", "toy-gpt2-medium", "toy-lfm-7b"])
def test_it_says_what_the_stage_said(tag, nla, passages, stages, mini_nla_root, short):
    folder = find(stages[f"verbalized/{tag}-test"], mini_nla_root).path
    rebuilt = read_verbalized(folder, Split.TEST, Predictor.GREEDY, SplitAccess({Split.TEST}))
    assert len(rebuilt.rows) == 16
    for row in rebuilt.rows[:4]:
        h_D = nla.activation(passages[row.passage_id], tag)
        [[one]] = nla.verbalize(h_D, tag, **short)
        assert one.raw_text == row.text
        assert one.log_prob == pytest.approx(row.log_prob, abs=1e-3)


def test_there_and_back(nla, passages, short):
    text = next(iter(passages.values()))
    trip = nla.round_trip(text, "toy-lfm-7b", **short)
    assert trip.activation_D.shape == trip.rebuilt_D.shape == (32,)
    assert np.linalg.norm(trip.activation_D) == pytest.approx(32**0.5)
    assert trip.verbalization.explanation is None  # this AV has not learned to close its tag
    assert np.isnan(trip.rebuilt_D).all() and (trip.cosine, trip.nmse) == (0, 2)
    [shared_E] = nla.reconstruct(["about a farm."])
    assert np.linalg.norm(shared_E) == pytest.approx(nla.maps.space.width**0.5)
    assert nla.reconstruct(["about a farm."], "toy-lfm-7b").shape == (1, 32)


def test_what_was_rebuilt_is_compared_and_what_was_not_points_nowhere():
    closed, broken = Verbalization("a", "", 0.0), Verbalization(None, "", 0.0)
    n_ND = np.array([[2.0, 0.0], [2.0, 0.0]])
    one, other = round_trips_of([closed, broken], n_ND, np.array([[1.0, 1.0], [np.nan, np.nan]]))
    assert (one.cosine, one.nmse) == pytest.approx((0.5**0.5, 2 - 2**0.5))
    assert (other.cosine, other.nmse) == (0, 2)


def test_a_token_is_read_where_it_stands(nla, passages):
    text = next(iter(passages.values()))
    first, last = (
        nla.activation(text, "toy-gpt2-medium", 3),
        nla.activation(text, "toy-gpt2-medium", -1),
    )
    assert first.shape == last.shape == (32,) and not np.allclose(first, last)
    # What comes later does not change what was read before.
    longer = nla.activation(text + " and more", "toy-gpt2-medium", 3)
    np.testing.assert_allclose(longer, first, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="position is 99999; toy-gpt2-medium reads this text as"):
        nla.activation(text, "toy-gpt2-medium", 99999)


def read_as(nla, monkeypatch, read):
    """The NLA as one that was trained on rows of this kind."""
    hosts = {tag: replace(host, read=read) for tag, host in nla.manifest.hosts.items()}
    monkeypatch.setattr(nla.readers, "_hosts", hosts)
    monkeypatch.setattr(nla.readers, "_readers", {})


def test_a_sentence_is_the_mean_of_its_tokens(nla, monkeypatch):
    text, host = "dear friend. there was rain. the farmer went.", "toy-gpt2-medium"
    reader = nla.readers.reader(host)
    by_token = [nla.activation(text, host, n) for n in range(reader.num_tokens(text))]
    start = text.index("there")
    offsets = reader.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    inside = [n for n, (a, b) in enumerate(offsets) if max(a, start) < min(b, start + 15)]
    there_D = nla.activation(text, host, span=(start, start + 15))
    np.testing.assert_allclose(there_D, np.mean([by_token[n] for n in inside], axis=0), atol=1e-5)
    read_as(nla, monkeypatch, Spans(per_passage=1, min_sentence=1, seed=0))
    last_D = nla.activation(text, host)
    np.testing.assert_array_equal(last_D, nla.activation(text, host, span=(29, len(text))))
    with pytest.raises(ValueError, match="span is .*; toy-gpt2-medium reads no token there"):
        nla.activation(text, host, span=(4000, 4010))


def test_an_nla_of_tokens_asks_for_a_position(nla, monkeypatch):
    read_as(nla, monkeypatch, TokenPositions(per_passage=1, min_position=2, seed=0))
    with pytest.raises(ValueError, match="single tokens of toy-gpt2-medium; give positions"):
        nla.activation("dear friend, there was rain.", "toy-gpt2-medium")
    assert nla.activation("dear friend, there was rain.", "toy-gpt2-medium", 3).shape == (32,)


def test_an_nla_of_last_tokens_reads_a_text_at_its_last(nla, monkeypatch):
    text, host = "dear friend, there was rain.", "toy-gpt2-medium"
    pooled_D = nla.activation(text, host)
    read_as(nla, monkeypatch, LastToken())
    last_D = nla.read([text], host).h_ND[0]
    np.testing.assert_allclose(last_D, nla.activation(text, host, -1), atol=1e-6)
    assert not np.allclose(last_D, pooled_D)


def test_an_unknown_host_names_the_known_ones(nla):
    with pytest.raises(ValueError, match="host is 'llama'; this NLA knows: toy-qwen3-1p7b, "):
        nla.activation("a text", "llama")


@pytest.mark.parametrize(
    "name",
    [
        "av/weights.safetensors",
        "ar/weights.safetensors",
        "ar/value_head.safetensors",
        "maps/toy-lfm-7b/encoder.safetensors",
        "maps/toy-lfm-7b/decoder.safetensors",
        "tokenizer/tokenizer.json",
        "av/nla_meta.yaml",
    ],
)
def test_a_file_that_was_exchanged_or_lost_is_refused(copied, name):
    path = copied / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleDamaged, match=f"{name} is not the file that was bundled"):
        NLA.load(copied)
    path.unlink()
    with pytest.raises(BundleDamaged, match=f"{name} is missing"):
        NLA.load(copied)


def rehashed(folder, name, change):
    """Change a file and the manifest's hash of it, as somebody would who means it."""
    import hashlib

    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["sha256"] = manifest_sha256(manifest)
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("injection_rule", "karvonen"),
        ("num_slots", 3),
        ("centring", "none"),
        ("ar_readout", "W h"),
        ("ar_bos", "absent"),
    ],
)
def test_another_rule_in_the_sidecar_is_refused(copied, key, value):
    def change(content):
        tree = yaml.safe_load(content)
        tree["interlingua"][key] = value
        if key == "injection_rule":
            tree["interlingua"]["after_block"] = 1
        return yaml.safe_dump(tree).encode()

    rehashed(copied, "av/nla_meta.yaml", change)
    with pytest.raises(ContractMismatch, match="contradicts how the pair was trained: extension"):
        NLA.load(copied)


@pytest.mark.parametrize(("key", "value"), [("stage", "rl"), ("role", "ar")])
def test_a_sidecar_of_another_model_is_refused(copied, key, value):
    def change(content):
        return yaml.safe_dump({**yaml.safe_load(content), key: value}).encode()

    rehashed(copied, "av/nla_meta.yaml", change)
    with pytest.raises(ContractMismatch, match="not of the role av and the stage 'sft', as which"):
        NLA.load(copied)


def test_weights_of_another_model_are_refused(copied):
    other = (copied / "ar" / "weights.safetensors").read_bytes()
    rehashed(copied, "av/weights.safetensors", lambda _: other)
    with pytest.raises(ValueError, match="the AV's weights do not match its spec"):
        NLA.load(copied)


def test_a_folder_that_is_no_bundle_says_so(tmp_path):
    with pytest.raises(NotABundle, match="is not a bundle"):
        NLA.load(tmp_path)


@pytest.mark.parametrize("affine", [Full(), LowRank(rank=2)])
def test_affine_maps_are_written_out_and_read_back(affine, mini_root, tmp_path):
    for folder in mini_root.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    recipe = world_mini()
    injection = replace(recipe.av.injection, num_slots=3, affine=affine)
    recipe = replace(recipe, av=replace(recipe.av, injection=injection))
    context = local_context(recipe.placement, LocalPool(), LocalTrainer())
    for stage in needed_for("bundle", graph_of(recipe)):
        build(stage, tmp_path, context)
    (bundle_stage,) = (stage for stage in graph_of(recipe) if stage.kind == "bundle")
    folder = find(bundle_stage, tmp_path).path
    maps = load_file(folder / "av" / "nla_affine.safetensors")
    assert maps["weight"].shape == (3, 32, 32) and maps["bias"].shape == (3, 32)
    assert not torch.equal(maps["weight"][0], maps["weight"][1])
    nla = NLA.load(folder)
    x_BSD = nla.av.verbalizer.injected(v_BD := torch.randn(2, 32))
    s_BD = v_BD * 32**0.5 / v_BD.norm(dim=1, keepdim=True)
    expected_BSD = torch.einsum("sed,bd->bse", maps["weight"], s_BD) + maps["bias"]
    torch.testing.assert_close(x_BSD, expected_BSD, rtol=1e-4, atol=1e-5)


def test_a_text_is_as_probable_as_its_tokens_were_drawn(nla):
    """Drawn one by one, every other id banned, its tokens state log probabilities of their own."""
    host, text = nla.hosts[0], "topic farm."
    h_D, tokenizer = nla.activation("dear friend, there was rain.", host), nla.av._tokenizer
    ids = response_ids(tokenizer, text)
    size = text_config(nla.av.verbalizer.trunk.model.config).vocab_size
    log_probs = []
    for place, token in enumerate(ids[:-1]):  # nothing is drawn behind the closing tag
        prefix = tokenizer.decode(ids[:place])
        assert nla.av.prefix_ids(prefix) == ids[:place]
        others = [other for other in range(size) if other != token]
        [[one]] = nla.verbalize(h_D, host, prefix=prefix, banned=others, max_new_tokens=1)
        log_probs.append(one.log_prob)
    found = nla.nll(h_D, [text], host)
    assert found.num_tokens_N.tolist() == [len(ids)]
    v_1E = nla.maps.v_of(host, h_D[None])
    nll_1T = nla.av.verbalizer.nll(nla.av.prompt(host), v_1E, torch.tensor([ids]))
    assert nll_1T[0, :-1].tolist() == pytest.approx([-one for one in log_probs], rel=1e-3)
    assert found.nll_N[0] == pytest.approx(nll_1T.sum().item())


def test_texts_of_any_length_are_scored_together(nla):
    host = nla.hosts[0]
    h_ND = nla.read(["dear friend, there was rain.", "a basket."], host).h_ND
    texts = ["a longer explanation, of many more words than the other has.", "topic farm."]
    found = nla.nll(h_ND, texts, host)
    for row in range(2):
        alone = nla.nll(h_ND[row], texts[row : row + 1], host)
        np.testing.assert_allclose(alone.nll_N, found.nll_N[row : row + 1], rtol=1e-5)
    assert (nla.nll(h_ND[::-1].copy(), texts, host).nll_N != found.nll_N).all()
    with pytest.raises(ValueError, match="1 texts of 2 activations"):
        nla.nll(h_ND, texts[:1], host)


def test_hosts_that_are_cut_neither_complete_nor_patch(nla):
    assert isinstance(nla, ScoresText)
    assert not isinstance(nla, Completes) and not isinstance(nla, Patches)


def test_a_pair_runs_in_the_dtype_that_is_asked_for(nla, bundle):
    low = NLA.load(bundle, dtype="bfloat16")
    host = nla.hosts[0]
    for model in (low.av.verbalizer.trunk, low.ar.reconstructor.model):
        assert {one.dtype for one in model.parameters()} == {torch.bfloat16}
        # Rounded, they would turn late positions by a third of a radian.
        frequencies = [one for name, one in model.named_buffers() if name.endswith("inv_freq")]
        assert frequencies and {one.dtype for one in frequencies} == {torch.float32}
    texts = ["dear friend, there was rain.", "a basket."]
    h_ND = nla.read(texts, host).h_ND
    np.testing.assert_array_equal(low.read(texts, host).h_ND, h_ND)  # hosts are as they were read
    wide, narrow = (one.nll(h_ND, ["topic farm."] * 2, host).nll_N for one in (nla, low))
    assert (wide != narrow).all()
    np.testing.assert_allclose(wide, narrow, rtol=0.02)
    rebuilt = [one.reconstruct(["about a farm."], host) for one in (nla, low)]
    assert cosine(*rebuilt) == pytest.approx(1, abs=0.01)
    assert len(low.verbalize(h_ND, host, max_new_tokens=8)) == 2
    with pytest.raises(ValueError, match="dtype is float8; it must be one of float32"):
        NLA.load(bundle, dtype="float8")
