"""Specs of activations that were released: the path of their parquet, and its hash.

Knows no file.
"""

from dataclasses import dataclass

from interlingua.specs.checks import check_one_of, check_slug
from interlingua.specs.splits import Split, SplitSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedRowsSpec:
    """The rows of some splits of a released parquet; a row's split is that of its document."""

    host_tag: str
    path: str
    parquet_sha256: str
    sidecar_sha256: str
    split: SplitSpec
    splits: tuple[Split, ...]

    def __post_init__(self) -> None:
        check_slug(self, host_tag=self.host_tag)
        check_whole_file(self.path)
        hashes = {"parquet_sha256": self.parquet_sha256, "sidecar_sha256": self.sidecar_sha256}
        for name, digits in hashes.items():
            if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
                raise ValueError(f"AdoptedRowsSpec.{name} is {digits!r}; it must be 64 hex digits")
        for split in self.splits:
            check_one_of(self, Split, splits=split)
        if not self.splits:
            raise ValueError("AdoptedRowsSpec.splits is empty; name at least one split")


def check_whole_file(path: str) -> None:
    """Raise where a path asks for a slice of a file, as the public release writes it."""
    if "@[" in path:
        raise ValueError(
            f"AdoptedRowsSpec.path is {path!r}; a slice of rows can cut a document in two: "
            "name the whole file and choose rows by split"
        )
