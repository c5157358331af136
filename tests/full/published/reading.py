"""Reads two texts at the published block of a host that lies somewhere, and judges the rows."""

import numpy as np
from tests.own_model import texts

from interlingua.models.hosts.activations import Reader
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.hosts import PoolHost
from interlingua.specs.splits import Split

OTHER_SCRIPT = "\u041f\u0440\u0438\u0432\u0435\u0442, 12345!"
MOST_ROUNDED = 0.05  # of a row's norm, between the published dtype and fp32


def check_rows(host: PoolHost, source: str, revision: str | None) -> None:
    """Raise unless its rows are finite, of its width, of their own text, and alike in fp32."""
    h_ND, exact_ND = (read_two(host, source, revision, dtype) for dtype in (host.dtype, "float32"))
    assert h_ND.shape == exact_ND.shape and np.isfinite(h_ND).all()
    norms_N = np.linalg.norm(exact_ND, axis=1)
    assert np.linalg.norm(exact_ND[0] - exact_ND[1]) > 0.01 * norms_N[0]
    assert (np.linalg.norm(h_ND - exact_ND, axis=1) < MOST_ROUNDED * norms_N).all()


def read_two(host: PoolHost, source: str, revision: str | None, dtype: str) -> np.ndarray:
    """[2, D]: the means over two texts, in two scripts."""
    spec = ExtractSpec(
        host_tag=host.tag,
        block_indices=(host.block_index,),
        read=Pooled(include_first=True),
        max_tokens=512,
        dtype=dtype,
        splits=(Split.DEV,),
    )
    reader = Reader(source, spec, revision=revision, device="cpu", batch_tokens=4096)
    rows = reader.rows([("a", texts(1)[0]), ("b", OTHER_SCRIPT)])
    assert rows.passage_ids == ["a", "b"]
    return rows.vectors_by_block[host.block_index]
