"""Half a file is said with its name and with what to do, whatever library reads it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save

from interlingua.specs.splits import Split
from interlingua.stages.sft.engine import STATE_NAME, TorchEngine
from interlingua.store.integrity import CorruptFile
from interlingua.store.maps import DECODER_NAME, ENCODER_NAME, read_decoder, read_encoder
from interlingua.store.rows.explanations import EXPLANATIONS_NAME, read_explanations
from interlingua.store.rows.scored import EVALUATED_NAME, read_evaluated
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed
from interlingua.store.rows.verbalized import VERBALIZED, read_verbalized

ANY = SplitAccess(set(Split))


def table(path):
    pq.write_table(pa.table({"column": list(range(1000))}), path)


def tensors(path):
    path.write_bytes(save({"weight": np.zeros((10, 10), np.float32)}))


def archive(path):
    torch.save({"weights": torch.zeros(1000)}, path)


READERS = {
    LEDGER_NAME: (table, lambda folder: read_consumed(folder / LEDGER_NAME)),
    EXPLANATIONS_NAME: (table, lambda folder: read_explanations(folder, [Split.DEV], ANY)),
    EVALUATED_NAME: (table, lambda folder: list(read_evaluated(folder))),
    f"{VERBALIZED}/000000.parquet": (
        table, lambda folder: read_verbalized(folder, Split.DEV, "sampled", ANY),
    ),
    ENCODER_NAME: (tensors, read_encoder),
    DECODER_NAME: (tensors, read_decoder),
    STATE_NAME: (archive, lambda folder: TorchEngine.load(None, folder)),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_half_a_file_is_named_with_what_to_do(name, share, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make, read = READERS[name]
    make(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CorruptFile, match=f"{path} cannot be read.*delete it.*run its stage again"):
        read(tmp_path)


def test_a_file_that_is_missing_is_the_systems_own_word(tmp_path):
    with pytest.raises(FileNotFoundError, match=LEDGER_NAME):
        read_consumed(tmp_path / LEDGER_NAME)
