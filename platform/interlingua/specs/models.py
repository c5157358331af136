"""Specs of models that are not made here, and of how a recipe reads a host. Knows no model."""

from dataclasses import dataclass

from interlingua.specs.checks import (
    check_commit,
    check_not_negative,
    check_one_of,
    check_positive,
    check_sha256,
    check_slug,
)
from interlingua.specs.hosts import DTYPES, AtBlock, AtDepth
from interlingua.specs.world import WorldHostSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class HubHost:
    """A model that was not made here: a hub id at a commit, a local folder, or a GGUF file.

    What is None is found when the recipe is pinned: the hash of a folder's or file's contents, and
    how many blocks the model has.
    """

    tag: str
    source: str
    revision: str | None = None  # of a hub id
    files_sha256: str | None = None
    num_blocks: int | None = None

    def __post_init__(self) -> None:
        check_slug(self, tag=self.tag)
        check_sha256(self, files_sha256=self.files_sha256)
        if self.num_blocks is not None:
            check_positive(self, num_blocks=self.num_blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """The files of a model of the hub, whoever uses it: they come once, however many hosts do."""

    source: str
    revision: str  # a commit

    def __post_init__(self) -> None:
        check_commit(self, revision=self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationFile:
    """Activations of a host that were read elsewhere, raw, a vector a row.

    `path` is .safetensors, .npy, .pt or .parquet; `tensor` the name of the tensor or column where
    there are several. Vector i is of the text with the number i, or of the text that row i of
    `index` (JSON lines or parquet) names in `id_field`, at the token in `position_field`. Some of
    them are compared with what the host gives here, at this block and its neighbours.
    """

    path: str
    sha256: str | None = None
    tensor: str | None = None
    index: str | None = None
    index_sha256: str | None = None
    id_field: str = "id"
    position_field: str | None = None
    num_compared: int = 32  # passages; 0 where the host cannot be opened here

    def __post_init__(self) -> None:
        check_sha256(self, sha256=self.sha256, index_sha256=self.index_sha256)
        check_not_negative(self, num_compared=self.num_compared)


HostSource = WorldHostSpec | HubHost


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """A host of a recipe: the model, the block that is read, and how; or rows that are there."""

    source: HostSource
    block: AtBlock | AtDepth
    dtype: str = "float32"  # of the forward; rows are stored in fp32
    max_tokens: int = 512  # of a passage; what is cut is counted
    rows: ActivationFile | None = None  # None: they are read here

    def __post_init__(self) -> None:
        check_one_of(self, DTYPES, dtype=self.dtype)
        check_positive(self, max_tokens=self.max_tokens)

    @property
    def tag(self) -> str:
        """Its name in the recipe."""
        return self.source.tag

    @property
    def block_index(self) -> int:
        """K: the zero-based block whose output is read."""
        if isinstance(self.block, AtBlock) and self.source.num_blocks is None:
            return self.block.index
        if self.source.num_blocks is None:
            raise ValueError(
                f"hosts.{self.tag}.source.num_blocks is none: pin the recipe first, which looks "
                "into the model, or name the block with block=at_block and block.index"
            )
        return self.block.block_index(self.source.num_blocks)
