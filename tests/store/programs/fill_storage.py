"""Writes a passages file or a shard where no file may grow beyond 64 KiB; says which error came.

argv: folder, passages | shard | ledger
"""

import resource
import sys
from pathlib import Path

import numpy as np

from interlingua.specs.splits import Split, SplitSpec
from interlingua.store.atomic import StorageFull
from interlingua.store.rows.passages import Passage, write_passages
from interlingua.store.rows.shards import ShardHeader, shard_path, shard_rows, write_shard
from interlingua.store.rows.splits import SplitAccess, passage_id

ALL_TEST = SplitSpec(seed=0, pretrain=0, av_sft=0, ar_sft=0, rl=0, fit=0, dev=0, test=1)


def incompressible_passages():
    for index in range(5000):
        text = passage_id(f"{index}")
        yield Passage(
            passage_id=text, document_id=text, split=Split.TEST, text=text, facts={}, mentions=()
        )


def full_shard():
    vectors_ND = np.zeros((100, 1000), np.float32)
    return shard_rows([passage_id(str(i)) for i in range(100)], [-1] * 100, [1] * 100, vectors_ND)


def write(folder, what):
    if what == "passages":
        path = folder / "passages.parquet"
        write_passages(path, incompressible_passages(), split_spec=ALL_TEST, rows_per_group=500)
    elif what == "shard":
        header = ShardHeader(
            host_tag="h",
            host_revision="r",
            tokenizer_hash="t",
            block_index=1,
            read_mode="pooled",
            dtype="float32",
            max_length=8,
        )
        write_shard(shard_path(folder, 0), header, full_shard())
    elif what == "ledger":
        access = SplitAccess([Split.TEST])
        for passage in incompressible_passages():
            access.consume(passage.passage_id, passage.split)
        access.write(folder)


def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
    try:
        write(Path(sys.argv[1]), sys.argv[2])
    except StorageFull as error:
        print(type(error).__name__)


if __name__ == "__main__":
    main()
