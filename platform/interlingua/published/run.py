"""A published experiment as values: which hosts are read where, on what text, how it is trained.

Also the parts that all runs share. Knows no recipe and no file; the runs themselves are in
single_host.py and universal.py.
"""

from dataclasses import dataclass

from interlingua.memory.parameters import RoleSize, role_sizes
from interlingua.published.hosts import pool_host
from interlingua.specs.checks import check_one_of, check_positive, check_slug
from interlingua.specs.extraction import Reading
from interlingua.specs.injection import AfterBlock, Centring, InjectionSpec, Replace
from interlingua.specs.training import ArSpec, AvSpec, WatchSpec

AR_TEMPLATE = "Summary of the following text: <text>{explanation}</text> <summary>"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
ONE_SLOT = InjectionSpec(
    rule=Replace(),
    num_slots=1,
    scale="sqrt_d",
    centring=Centring.NONE,
    affine=None,
)
# Of a score: nats a token, or shares of variance. Far above what batches of other sizes change in
# an evaluation (1e-9 in the world, in fp32), and less than a gain that anybody would report.
MIN_DELTA = 1e-4
# Most runs evaluated no held-out row while training; the single-host trainers saved every 500.
WATCH = WatchSpec(
    seed=0, validate_every=250, checkpoint_every=500, dev_rows=200, min_delta=MIN_DELTA
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSpec:
    """`num_passages` texts of a split of a hub data set; longer ones are left out whole.

    In which order texts are drawn is not said: the published draws depend on a streaming shuffle,
    or on a file that was never released.
    """

    name: str
    subset: str | None
    split: str
    text_field: str
    num_passages: int
    max_characters: int | None

    def __post_init__(self) -> None:
        check_positive(self, num_passages=self.num_passages)
        if self.max_characters is not None:
            check_positive(self, max_characters=self.max_characters)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBlock:
    """A host of the pool and the block of it that is read."""

    tag: str
    block_index: int

    def __post_init__(self) -> None:
        check_one_of(self, range(pool_host(self.tag).num_blocks), block_index=self.block_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """One published experiment, complete.

    `anchor` is the host whose space is shared. Without `trained` hosts it is the only host, the AV
    trains on its rows, and its encoder is the identity. `warm_start` is the hub id of an AV that
    training goes on from. `notes` says what the sources leave open.
    """

    name: str
    trunk: str
    anchor: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    hosts: tuple[HostBlock, ...]
    read: Reading
    max_tokens: int
    corpus: CorpusSpec
    teachers: tuple[str, ...]
    warm_start: str | None
    av: AvSpec
    ar: ArSpec
    notes: str
    accepts_mixed_teachers: bool = False

    def __post_init__(self) -> None:
        check_slug(self, name=self.name)
        check_positive(self, max_tokens=self.max_tokens)
        tags = [host.tag for host in self.hosts]
        parts = [self.anchor, *self.trained, *self.held_out]
        if len(set(tags)) < len(tags) or sorted(parts) != sorted(tags):
            raise ValueError(
                f"PublishedRun.anchor, trained and held_out are {', '.join(parts)}; "
                f"together they must name every host once: {', '.join(tags)}"
            )
        if not self.teachers or len(set(self.teachers)) < len(self.teachers):
            raise ValueError(
                f"PublishedRun.teachers is {self.teachers}; name at least one, each once"
            )
        self._check_models()

    def _check_models(self) -> None:
        trunk, anchor = pool_host(self.trunk), pool_host(self.anchor)
        if trunk.width != anchor.width:
            raise ValueError(
                f"PublishedRun.trunk is {self.trunk} of width {trunk.width}; it must be as wide as "
                f"the anchor {self.anchor} ({anchor.width}), whose space its embeddings share"
            )
        blocks = {"ar.block_index": self.ar.last_block}
        if isinstance(self.av.injection.rule, AfterBlock):
            blocks["av.injection.rule.index"] = self.av.injection.rule.index
        check_one_of(self, range(trunk.num_blocks), **blocks)
        if not self.trained and self.av.encoder_learning_rate is not None:
            raise ValueError(
                f"PublishedRun.av.encoder_learning_rate is {self.av.encoder_learning_rate}, but "
                "PublishedRun.trained is empty: the anchor's encoder is the identity and stays so"
            )

    def sizes(self) -> tuple[RoleSize, ...]:
        """Parameters and bytes of its three roles."""
        encoded = [pool_host(tag) for tag in self.trained]
        return role_sizes(pool_host(self.trunk), self.av, self.ar, encoded)


def check_teachers(run: PublishedRun) -> None:
    """Raise where explanations of several teachers are to be one corpus and nobody accepted it."""
    if len(run.teachers) > 1 and not run.accepts_mixed_teachers:
        raise ValueError(
            f"{run.name}.teachers is {', '.join(run.teachers)}: explanations of several teachers "
            "in one corpus destroyed a published run (its trained hosts fell from 0.92 to 0.83, "
            "gemma4-e4b from 0.86 to -0.75). To make it all the same: accepts_mixed_teachers=true"
        )
