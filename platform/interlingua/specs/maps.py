"""The linear maps between a host and the shared space. Knows no rows."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative, check_positive, check_slug


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeSpec:
    """Ridge strengths to choose from by folds of passages, relative to the mean of diag(X^T X)."""

    strengths: tuple[float, ...]  # 0 is least squares
    num_folds: int

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) < 0:
            raise ValueError(
                f"RidgeSpec.strengths is {self.strengths}; give at least one, none below zero"
            )
        if self.num_folds < 2:
            raise ValueError(f"RidgeSpec.num_folds is {self.num_folds}; it must be at least 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class FromExplanations:
    """A decoder fitted on the AR's vectors of the AV's own explanations, as it will be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromEncoder:
    """A decoder fitted on the encoder's vectors, as if text lost nothing: a published failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittingSpec:
    """The fit of every linear map of a recipe, and of the readers of words beside them."""

    ridge: RidgeSpec
    block_rows: int  # of `fit`, that are in memory at once
    most_words: int  # or pairs that a reader of words counts
    num_outside: int  # texts of each kind from outside the world, on which familiarity is tried
    num_others: int  # activations of `fit` that a bundle brings, to compare others with
    seed: int
    decoder: FromExplanations | FromEncoder = FromExplanations()

    def __post_init__(self) -> None:
        check_positive(
            self,
            block_rows=self.block_rows,
            most_words=self.most_words,
            num_outside=self.num_outside,
            num_others=self.num_others,
        )
        check_not_negative(self, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """The map of one host into the shared space.

    `ridge` None is the anchor's: the identity. Otherwise the map is fitted to the mean of what the
    encoders of the `targets` give: the anchor alone, or all trained hosts for one that comes later.
    """

    host_tag: str
    block_index: int
    targets: tuple[str, ...]
    ridge: RidgeSpec | None
    block_rows: int
    seed: int

    def __post_init__(self) -> None:
        check_slug(self, host_tag=self.host_tag)
        check_not_negative(self, block_index=self.block_index, seed=self.seed)
        check_positive(self, block_rows=self.block_rows)
        if bool(self.targets) != (self.ridge is not None):
            raise ValueError(
                f"EncoderSpec.targets is {self.targets} and ridge {self.ridge}; "
                "the anchor has neither, every other host has both"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedEncoderSpec:
    """The map of a trained host as it came out of the AV's training."""

    host_tag: str
    block_index: int
    seed: int

    def __post_init__(self) -> None:
        check_slug(self, host_tag=self.host_tag)
        check_not_negative(self, block_index=self.block_index, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliaritySpec:
    """The spread of one host's rows, and how many texts of each kind from outside it is tried on.

    Every row's distance is measured by the rows of the other folds.
    """

    host_tag: str
    block_index: int
    num_folds: int
    block_rows: int
    num_outside: int
    num_others: int
    seed: int

    def __post_init__(self) -> None:
        check_slug(self, host_tag=self.host_tag)
        check_not_negative(self, block_index=self.block_index, seed=self.seed)
        check_positive(
            self,
            num_folds=self.num_folds,
            block_rows=self.block_rows,
            num_outside=self.num_outside,
            num_others=self.num_others,
        )
