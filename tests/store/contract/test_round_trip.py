"""Whatever sidecar can be built is read back equal from the file it was written to."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from interlingua.specs.injection import AfterBlock, BosRule, Centring, Readout, Replace
from interlingua.store.contract.file import read_sidecar, write_sidecar
from interlingua.store.contract.statement import (
    AffineFile,
    DatasetSidecar,
    Extension,
    MarkerTokens,
    ModelSidecar,
    Role,
)

texts = st.text(st.characters(codec="utf-8"), max_size=12)
ids = st.integers(0, 300_000)
scales = st.none() | st.just("raw") | st.floats(1e-3, 1e6)
leaves = st.none() | st.booleans() | ids | texts | st.floats(allow_nan=False) | st.datetimes()
foreign = st.dictionaries(
    texts.map(lambda text: f"x_{text}"),
    st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5
    ),
    max_size=4,
)
blocks = st.integers(0, 80)
extensions = st.builds(
    Extension,
    injection_rule=st.just(Replace()) | st.builds(AfterBlock, index=blocks),
    num_slots=st.integers(1, 64),
    marker_is_added=st.booleans(),
    centring=st.sampled_from(Centring),
    affine=st.none() | st.builds(AffineFile, file=texts, sha256=texts),
    ar_readout=st.sampled_from(Readout),
    ar_bos=st.sampled_from(BosRule),
    train_variance=st.none() | st.floats(0, 1),
    tokenizer_sha256=st.none() | texts,
    chat_template_sha256=st.none() | texts,
)
shared: dict[str, st.SearchStrategy] = {
    "d_model": st.integers(1, 10_000),
    "block_index": st.none() | blocks,
    "mse_scale": scales,
    "tokens": st.none()
    | st.builds(MarkerTokens, marker=texts, marker_id=ids, left_id=ids, right_id=ids),
    "ar_suffix_ids": st.none() | st.lists(ids, max_size=5).map(tuple),
    "av_template": st.none() | texts,
    "ar_template": st.none() | texts,
    "extension": st.none() | extensions,
    "other": foreign,
}
models = st.builds(
    ModelSidecar,
    role=st.sampled_from(Role),
    stage=st.none() | texts,
    base_checkpoint=st.none() | texts,
    injection_scale=scales,
    **shared,
)
datasets = st.builds(
    DatasetSidecar,
    stage=texts,
    dataset_id=st.none() | texts,
    row_count=st.none() | ids,
    base_model=st.none() | texts,
    injection_scale=scales | st.just("sqrt_d"),
    **shared,
)


@given(models | datasets)
def test_what_is_written_is_read_back(sidecar: ModelSidecar | DatasetSidecar) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert read_sidecar(write_sidecar(sidecar, folder)) == sidecar
        assert len(list(Path(folder).iterdir())) == 1
