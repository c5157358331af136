"""Rows are what the model computes at the kept positions, whatever else is in the batch."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from interlingua.core.spans import sentences
from interlingua.models.hosts import activations
from interlingua.models.hosts.activations import Reader
from interlingua.models.hosts.host import load_host
from interlingua.models.hosts.sites import chosen_spans
from interlingua.published.hosts import pool_host
from interlingua.specs.extraction import ExtractSpec, Pooled, Spans, TokenPositions
from interlingua.specs.splits import Split
from interlingua.specs.world import TokenizerKind, TokenizerSpec, WorldSpec
from interlingua.store.rows.shards import POOLED_POSITION
from interlingua.world.hosts import fresh_model, tiny_config
from interlingua.world.text import tellings
from interlingua.world.tokenizers import special_ids, trained_tokenizer

torch.set_num_threads(1)

WORLD = WorldSpec(
    seed=0,
    second_language_share=0.2,
    problem_share=0.5,
    quote_share=0.3,
    framed_share=0.3,
    min_sentences=2,
    max_sentences=3,
    largest_number=5,
)
SPEC = ExtractSpec(
    host_tag="gpt2-medium",
    block_indices=(1,),
    read=Pooled(include_first=False),
    max_tokens=256,
    dtype="float32",
    splits=(Split.FIT,),
)
TOKENS = TokenPositions(per_passage=4, min_position=10, seed=0)
SPANS = Spans(per_passage=2, min_sentence=2, seed=0)


@pytest.fixture(scope="module")
def texts():
    return [(f"{i:016x}", told.text) for i, told in enumerate(tellings(WORLD, 0, 30))]


@pytest.fixture(scope="module")
def tokenizer(texts):
    spec = TokenizerSpec(kind=TokenizerKind.BYTE_BPE, vocab_size=900, has_bos=True, chat=None)
    return trained_tokenizer(spec, [text for _, text in texts])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    return saved_host(tmp_path_factory.mktemp("host"), tokenizer, scale=1.0)


def saved_host(folder, tokenizer, *, scale):
    """A random host of four blocks; `scale` multiplies its embeddings."""
    config = tiny_config(
        pool_host("gpt2-medium"),
        width=32,
        num_blocks=4,
        num_heads=4,
        vocab_size=len(tokenizer),
        max_positions=512,
        special_ids=special_ids(tokenizer),
    )
    model = fresh_model(config, seed=0)
    with torch.no_grad():
        model.get_input_embeddings().weight *= scale
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def reader(folder, spec=SPEC, batch_tokens=1024):
    return Reader(folder, spec, revision=None, device="cpu", batch_tokens=batch_tokens)


def hidden_states(folder, tokenizer, text):
    """[L + 1, T, D] of one text alone, by Hugging Face's own means."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        out = model(torch.tensor([tokenizer.encode(text)]), output_hidden_states=True)
    return torch.stack(out.hidden_states)[:, 0].numpy()


def test_a_pooled_row_is_the_mean_over_all_tokens_but_the_first(folder, tokenizer, texts):
    rows = reader(folder).rows(texts)
    assert rows.passage_ids == [key for key, _ in texts]
    assert set(rows.positions) == {POOLED_POSITION}
    for row in (0, 7, 29):
        states = hidden_states(folder, tokenizer, texts[row][1])[2]
        np.testing.assert_allclose(rows.vectors_by_block[1][row], states[1:].mean(0), atol=1e-6)
        assert rows.num_tokens[row] == len(states)


def test_the_first_token_can_be_included(folder, tokenizer, texts):
    spec = replace(SPEC, read=Pooled(include_first=True))
    rows = reader(folder, spec).rows(texts[:1])
    states = hidden_states(folder, tokenizer, texts[0][1])[2]
    np.testing.assert_allclose(rows.vectors_by_block[1][0], states.mean(0), atol=1e-6)


def test_token_rows_are_the_states_at_their_positions(folder, tokenizer, texts):
    rows = reader(folder, replace(SPEC, read=TOKENS)).rows(texts)
    for row in range(0, len(rows.positions), 7):
        text = dict(texts)[rows.passage_ids[row]]
        state = hidden_states(folder, tokenizer, text)[2, rows.positions[row]]
        np.testing.assert_allclose(rows.vectors_by_block[1][row], state, atol=1e-5)
    by_passage = [
        [p for key, p in zip(rows.passage_ids, rows.positions, strict=True) if key == wanted]
        for wanted, _ in texts
    ]
    assert all(len(p) == 4 and min(p) >= 10 and p == sorted(set(p)) for p in by_passage)
    assert len({tuple(p) for p in by_passage}) > 20


def test_special_tokens_are_never_kept(folder, texts):
    everything = TokenPositions(per_passage=1000, min_position=0, seed=0)
    rows = reader(folder, replace(SPEC, read=everything)).rows(texts[:3])
    # The BOS stands at position 0.
    assert min(rows.positions) == 1
    assert len(rows.positions) == sum(set_of_tokens - 1 for set_of_tokens in token_counts(rows))


def token_counts(rows):
    return dict(zip(rows.passage_ids, rows.num_tokens, strict=True)).values()


@pytest.mark.parametrize("read", [Pooled(include_first=False), TOKENS])
def test_rows_depend_on_neither_batch_nor_order(folder, texts, read):
    spec = replace(SPEC, read=read)
    together = reader(folder, spec, batch_tokens=4096).rows(texts)
    alone = reader(folder, spec, batch_tokens=1).rows(texts[::-1])
    key = lambda rows: list(zip(rows.passage_ids, rows.positions, strict=True))  # noqa: E731
    order = [key(alone).index(k) for k in key(together)]
    np.testing.assert_allclose(
        together.vectors_by_block[1], alone.vectors_by_block[1][order], rtol=1e-5, atol=1e-6
    )


def test_several_blocks_come_from_one_forward(folder, texts):
    many = reader(folder, replace(SPEC, block_indices=(0, 2))).rows(texts)
    for block in (0, 2):
        one = reader(folder, replace(SPEC, block_indices=(block,))).rows(texts)
        np.testing.assert_array_equal(many.vectors_by_block[block], one.vectors_by_block[block])
    assert np.abs(many.vectors_by_block[0] - many.vectors_by_block[2]).max() > 0.001


def test_a_forward_that_overflows_is_read_in_a_wider_dtype(tmp_path, tokenizer, texts):
    huge = saved_host(tmp_path, tokenizer, scale=1e7)  # far above 65504, the end of fp16
    rows = reader(huge, replace(SPEC, dtype="float16")).rows(texts)
    assert np.isfinite(rows.vectors_by_block[1]).all()
    assert rows.counts["num_read_wider"] == 30
    assert rows.counts["num_not_finite"] == 0


def test_a_token_that_overflows_is_read_in_a_wider_dtype_too(tmp_path, tokenizer, texts):
    huge = saved_host(tmp_path, tokenizer, scale=1e7)
    half, whole = (reader(huge, replace(SPEC, dtype=d)) for d in ("float16", "float32"))
    h_D = half.at(texts[0][1], 3)
    assert np.abs(h_D).max() > 65504
    np.testing.assert_allclose(h_D, whole.at(texts[0][1], 3), rtol=0.05, atol=1e5)


def test_a_wider_copy_of_the_host_goes_when_its_texts_are_read(
    monkeypatch, tmp_path, tokenizer, texts
):
    opened = []

    def load_noted(source, **named):
        host = load_host(source, **named)
        opened.append((named["dtype"], weakref.ref(host.model)))
        return host

    monkeypatch.setattr(activations, "load_host", load_noted)
    # float32 overflows, too: both wider copies are needed, one after the other.
    huge = reader(saved_host(tmp_path, tokenizer, scale=1e38), replace(SPEC, dtype="float16"))
    for number in (1, 2):
        assert huge.rows(texts[:3]).counts["num_read_wider"] == 2 * 3
        assert [dtype for dtype, _ in opened] == ["float16", *["bfloat16", "float32"] * number]
        assert [model() is not None for _, model in opened] == [True, *[False] * 2 * number]


def test_rows_that_stay_non_finite_are_counted(tmp_path, tokenizer, texts):
    broken = saved_host(tmp_path, tokenizer, scale=float("nan"))
    rows = reader(broken).rows(texts)
    assert rows.counts["num_not_finite"] == 30
    assert not np.isfinite(rows.vectors_by_block[1]).any()


def test_texts_without_a_position_to_keep_have_no_row(folder, texts):
    empty = [("e" * 16, ""), *texts[:2]]
    rows = reader(folder).rows(empty)
    assert rows.passage_ids == [key for key, _ in texts[:2]]
    assert rows.counts["num_without_rows"] == 1
    assert len(rows.vectors_by_block[1]) == 2


def test_long_texts_are_cut_and_counted(folder, texts):
    rows = reader(folder, replace(SPEC, max_tokens=20)).rows(texts)
    assert rows.counts["num_truncated"] == 30
    assert set(rows.num_tokens) == {20}


def test_a_text_that_just_fits_is_not_counted_as_cut(folder, texts):
    lengths = [reader(folder).num_tokens(text) for _, text in texts]
    rows = reader(folder, replace(SPEC, max_tokens=max(lengths))).rows(texts)
    assert rows.counts["num_truncated"] == 0 and max(rows.num_tokens) == max(lengths)


def test_more_tokens_than_the_model_reads_are_refused(folder):
    with pytest.raises(ValueError, match="at most 512"):
        reader(folder, replace(SPEC, max_tokens=513))


def test_a_block_outside_of_the_model_is_refused(folder):
    with pytest.raises(ValueError, match="4"):
        reader(folder, replace(SPEC, block_indices=(4,)))


@pytest.mark.parametrize("read", [Pooled(include_first=False), TOKENS])
def test_a_model_spread_over_devices_gives_the_same_rows(folder, texts, read):
    spec = replace(SPEC, read=read)
    spread = Reader(folder, spec, revision=None, device="auto", batch_tokens=512)
    ours, expected = spread.rows(texts), reader(folder, spec).rows(texts)
    assert ours.positions == expected.positions
    np.testing.assert_allclose(
        ours.vectors_by_block[1], expected.vectors_by_block[1], rtol=1e-4, atol=1e-5
    )


def test_a_span_row_is_the_mean_over_the_tokens_of_its_sentence(folder, tokenizer, texts):
    rows = reader(folder, replace(SPEC, read=SPANS), batch_tokens=300).rows(texts)
    for row in range(0, len(rows.positions), 7):
        text = dict(texts)[rows.passage_ids[row]]
        states = hidden_states(folder, tokenizer, text)[2]
        (span,) = (one for one in sentences(text)[2:] if one[0] == rows.positions[row])
        encoded = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        inside = [n for n, (a, b) in enumerate(encoded) if max(a, span[0]) < min(b, span[1])]
        assert 0 < len(inside) < len(encoded) / 2
        expected_D = states[inside].mean(0)
        np.testing.assert_allclose(rows.vectors_by_block[1][row], expected_D, atol=1e-6)
    assert len(rows.positions) > 30 and rows.counts["num_not_finite"] == 0


def test_spans_of_many_texts_are_read_together_as_each_alone(folder, texts, monkeypatch):
    forwards = []
    read_blocks = activations.read_blocks
    monkeypatch.setattr(
        activations, "read_blocks", lambda *args: forwards.append(1) or read_blocks(*args)
    )
    own = reader(folder, replace(SPEC, read=SPANS), batch_tokens=2000)
    some = [text for _, text in texts[:12]]
    spans = [sentences(text)[0] for text in some]
    many_ND = own.over(some, spans)
    num_forwards = len(forwards)
    for text, span, h_D in zip(some, spans, many_ND, strict=True):
        np.testing.assert_allclose(own.over([text], [span])[0], h_D, rtol=1e-4, atol=1e-5)
    assert num_forwards < len(some) / 2 and len(forwards) == num_forwards + len(some)


def test_hosts_with_other_tokenizers_read_the_same_sentences(folder, tmp_path, texts):
    spec = TokenizerSpec(kind=TokenizerKind.METASPACE_BPE, vocab_size=600, has_bos=False, chat=None)
    other = saved_host(tmp_path, trained_tokenizer(spec, [text for _, text in texts]), scale=1.0)
    whole = replace(SPEC, read=SPANS, max_tokens=512)  # no sentence is cut off
    one, two = (reader(path, whole).rows(texts) for path in (folder, other))
    assert (one.passage_ids, one.positions) == (two.passage_ids, two.positions)
    assert one.num_tokens != two.num_tokens
    for (key, text), places in zip(texts, _places(one), strict=True):
        assert places == [start for start, _ in chosen_spans(SPANS, key, text)]


def _places(rows):
    found = {}
    for key, position in zip(rows.passage_ids, rows.positions, strict=True):
        found.setdefault(key, []).append(position)
    return found.values()


def test_a_sentence_that_is_cut_is_no_row(folder, texts):
    whole = reader(folder, replace(SPEC, read=SPANS)).rows(texts)
    cut = reader(folder, replace(SPEC, read=SPANS, max_tokens=40)).rows(texts)
    kept = set(zip(cut.passage_ids, cut.positions, strict=True))
    assert kept < set(zip(whole.passage_ids, whole.positions, strict=True))
    assert cut.counts["num_without_rows"] > 0
