"""A hub with every repository of the published runs under its name: hosts, an AV, two datasets.

The hosts are of their real families and depths, narrow and random; Gemma is gated.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tests.full.published.checkpoints import save_checkpoint
from tests.own_model import texts
from tests.sources.hub import FakeHub

from interlingua.published.hosts import UNIVERSAL_POOL, pool_host

SLOTS_TRUNK, SLOTS_START = "qwen3-8b", "syvb/nanonla-qwen3-8b-L24-av"
GATED = "google/gemma-4-E4B"
FINEWEB_EDU, FINEFINEWEB = "HuggingFaceFW/fineweb-edu", "m-a-p/FineFineWeb"
NUM_TEXTS, NUM_FILES = 720, 2
TOO_LONG = 4000  # characters: a published corpus leaves such a document out
BESIDE = {".gitattributes": b"", "README.md": b"# A repository\n"}


def hub_of_families(hub: FakeHub, folder: Path) -> None:
    """Add all repositories to a hub; the files of the models are made in the folder."""
    hosts = {host.hub_id: host for host in (*UNIVERSAL_POOL, pool_host(SLOTS_TRUNK))}
    for hub_id, host in {**hosts, SLOTS_START: pool_host(SLOTS_TRUNK)}.items():
        made = save_checkpoint(host, folder / hub_id, hub_id)
        hub.add(
            hub_id, BESIDE | {path.name: path.read_bytes() for path in made.iterdir()}, kind="model"
        )
    hub.gated.add(GATED)
    hub.add(FINEWEB_EDU, BESIDE | fineweb_edu(documents(NUM_TEXTS)))
    hub.add(FINEFINEWEB, BESIDE | finefineweb(documents(NUM_TEXTS, first=20_000)))


def documents(count: int, first: int = 10_000) -> list[str]:
    """Texts of a paragraph; each hundredth is longer than a published corpus takes."""
    return [
        text if number % 100 else "\n".join([text] * (TOO_LONG // len(text) + 1))
        for number, text in enumerate(texts(count, first))
    ]


def fineweb_edu(rows: Sequence[str]) -> dict[str, bytes]:
    """Parquet files with the columns that this dataset has."""
    files = {}
    for number, part in enumerate(_parts(rows)):
        table = pa.table(
            {
                "text": part,
                "id": [f"<urn:uuid:{number}-{place}>" for place in range(len(part))],
                "dump": ["CC-MAIN-2024-10"] * len(part),
                "language": ["en"] * len(part),
                "token_count": [len(text.split()) for text in part],
                "score": [3.5] * len(part),
            }
        )
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=64)
        files[f"sample/10BT/{number:03}_00000.parquet"] = sink.getvalue()
    return files


def finefineweb(rows: Sequence[str]) -> dict[str, bytes]:
    """JSON lines in a folder for each domain."""
    return {
        f"{domain}/{domain}_000000.jsonl": "".join(
            json.dumps({"text": text, "domain": domain}) + "\n" for text in part
        ).encode()
        for domain, part in zip(("aerospace", "agronomy"), _parts(rows), strict=True)
    }


def _parts(rows: Sequence[str]) -> Iterator[list[str]]:
    size = -(-len(rows) // NUM_FILES)
    return (list(rows[start : start + size]) for start in range(0, len(rows), size))
