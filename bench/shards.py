"""Writing and reading one shard of activations, against the formats that others keep them in.

    python -m bench.shards [--rounds 15]

2000 rows of 4096 fp32, files in the page cache. Every variant starts from or ends with the same
array in memory, and a read touches every value: a mapped file that nobody looks at costs nothing.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from bench.rounds import Timing, interleaved, machine_lines, ratio_table, say
from interlingua.store.rows.shards import ShardHeader, read_shard, shard_rows, write_shard

NUM_ROWS, WIDTH = 2000, 4096
OURS, NAME = "ours", "vectors"
HEADER = ShardHeader(
    host_tag="bench",
    host_revision="",
    tokenizer_hash="",
    block_index=0,
    read_mode="pooled",
    dtype="float32",
    max_length=1024,
)

Write = Callable[[], None]
Read = Callable[[], np.ndarray]


def main() -> None:
    """Write once, check that every read gives the array, time, print."""
    options = _options()
    vectors_ND = np.random.default_rng(0).standard_normal((NUM_ROWS, WIDTH)).astype(np.float32)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with threadpool_limits(1), TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        writes, reads = _writes(folder, vectors_ND), _reads(folder)
        for write in writes.values():
            write()
        for variant, read in reads.items():
            if not np.array_equal(read(), vectors_ND):
                raise SystemExit(
                    f"{variant} reads other values than were written: nothing was timed"
                )
        say(f"parity: every read gives the {NUM_ROWS} x {WIDTH} values that were written")
        say("\n## write", "")
        _bench(writes, vectors_ND.nbytes, options.rounds)
        say("\n## read, every value summed", "")
        _bench(
            {variant: _summed(read) for variant, read in reads.items()},
            vectors_ND.nbytes,
            options.rounds,
        )
    say("", _copy_line(vectors_ND), *machine_lines())


def _bench(variants: dict[str, Callable[[], object]], num_bytes: int, num_rounds: int) -> None:
    timings: dict[str, list[Timing]] = interleaved(variants, num_rounds=num_rounds)
    ours_s = median(t.cpu_s for t in timings[OURS])
    say(*ratio_table(timings, ours=OURS), "", f"ours: {num_bytes / ours_s / 1e9:.2f} GB/CPU s")


def _writes(folder: Path, vectors_ND: np.ndarray) -> dict[str, Write]:
    ids = [f"{number:016x}" for number in range(NUM_ROWS)]
    lengths = [100] * NUM_ROWS
    return {
        OURS: lambda: write_shard(
            folder / "ours", HEADER, shard_rows(ids, [-1] * NUM_ROWS, lengths, vectors_ND)
        ),
        "parquet of python lists": lambda: _write_lists(folder / "lists", vectors_ND),
        "parquet FixedSizeList": lambda: _write_fixed(folder / "fixed", vectors_ND),
        "npy": lambda: _write_npy(folder / "plain.npy", vectors_ND),
        "npy + fsync + sha256": lambda: _write_safe_npy(folder / "safe.npy", vectors_ND),
    }


def _reads(folder: Path) -> dict[str, Read]:
    return {
        OURS: lambda: read_shard(folder / "ours").rows.vectors_ND,
        "ours, verify=False": lambda: read_shard(folder / "ours", verify=False).rows.vectors_ND,
        "parquet of python lists": lambda: _read_lists(folder / "lists"),
        "parquet FixedSizeList": lambda: _read_fixed(folder / "fixed"),
        "npy": lambda: np.load(folder / "plain.npy"),
        "npy, mapped": lambda: np.load(folder / "plain.npy", mmap_mode="r"),
        "npy + sha256": lambda: _read_safe_npy(folder / "safe.npy"),
    }


def _summed(read: Read) -> Callable[[], float]:
    return lambda: float(read().sum())


def _write_lists(path: Path, vectors_ND: np.ndarray) -> None:
    pq.write_table(pa.Table.from_pydict({NAME: [row.tolist() for row in vectors_ND]}), path)


def _read_lists(path: Path) -> np.ndarray:
    return np.array(pq.read_table(path).column(NAME).to_pylist(), np.float32)


def _write_fixed(path: Path, vectors_ND: np.ndarray) -> None:
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors_ND.reshape(-1)), WIDTH)
    # random digits do not compress: parquet at its fastest
    pq.write_table(
        pa.table({NAME: column}),
        path,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )


def _read_fixed(path: Path) -> np.ndarray:
    column = pq.read_table(path).column(NAME).combine_chunks()
    return column.flatten().to_numpy().reshape(-1, WIDTH)


def _write_npy(path: Path, vectors_ND: np.ndarray) -> None:
    np.save(path, vectors_ND)


def _write_safe_npy(path: Path, vectors_ND: np.ndarray) -> None:
    """What ours promises besides the values: their checksum, and that they are on the disk."""
    path.with_suffix(".sha256").write_text(hashlib.sha256(vectors_ND.data).hexdigest())
    with path.open("wb") as file:
        np.save(file, vectors_ND)
        file.flush()
        os.fsync(file.fileno())


def _read_safe_npy(path: Path) -> np.ndarray:
    vectors_ND = np.load(path)
    if hashlib.sha256(vectors_ND.data).hexdigest() != path.with_suffix(".sha256").read_text():
        raise ValueError(f"{path} does not match its checksum")
    return vectors_ND


def _copy_line(vectors_ND: np.ndarray) -> str:
    """The byte limit of this machine, and what a checksum costs whoever takes one."""
    rates = []
    for once in (partial(np.copy, vectors_ND), lambda: hashlib.sha256(vectors_ND.data).digest()):
        start_s = time.process_time()
        for _ in range(5):
            once()
        rates.append(5 * vectors_ND.nbytes / (time.process_time() - start_s) / 1e9)
    return f"limits here: copy {rates[0]:.1f} GB/CPU s, sha256 {rates[1]:.2f} GB/CPU s"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=None, help="the disk that is written to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
