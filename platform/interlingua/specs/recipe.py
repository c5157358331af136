"""A recipe: everything that one experiment computes. Knows neither stages nor files."""

from dataclasses import dataclass
from math import sqrt

from interlingua.specs.checks import check_not_negative, check_positive, check_slug
from interlingua.specs.corpora import PassagesSpec
from interlingua.specs.evaluation import Evaluating
from interlingua.specs.extraction import LastToken, Pooled, Reading
from interlingua.specs.injection import AfterBlock
from interlingua.specs.maps import FittingSpec
from interlingua.specs.models import HostSpec
from interlingua.specs.placement import Placement
from interlingua.specs.rl import RlSpec
from interlingua.specs.splits import Split
from interlingua.specs.teachers import TeacherSpec, names_of
from interlingua.specs.training import ArSpec, AvSpec, SamplingSpec
from interlingua.specs.world import WorldCorpus


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingSpec:
    """The explanations that a model learns from: `samples` of every activation."""

    teacher: TeacherSpec
    samples: int

    def __post_init__(self) -> None:
        check_positive(self, samples=self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """The sampling of the trained AV, for the decoders and for the evaluation."""

    seed: int
    max_new_tokens: int

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed)
        check_positive(self, max_new_tokens=self.max_new_tokens)

    def sampled(self, samples: int) -> SamplingSpec:
        """This many samples of every activation at T = 1."""
        return SamplingSpec(
            seed=self.seed, temperature=1.0, samples=samples, max_new_tokens=self.max_new_tokens
        )

    def greedy(self) -> SamplingSpec:
        """The one greedy text of every activation."""
        return SamplingSpec(
            seed=self.seed, temperature=0.0, samples=1, max_new_tokens=self.max_new_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One experiment, complete. `anchor` is also the trunk under the AV and AR.

    A recipe without trained and held-out hosts is a single-host NLA: its shared space is the
    anchor's own. `av_start` is a training that the AV's goes on from, with a new optimizer; None
    goes on from the trunk. `notes` say where a published run is followed otherwise, and what of it
    cannot be known.
    """

    name: str
    passages: PassagesSpec
    hosts: tuple[HostSpec, ...]
    anchor: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    read: Reading
    fitting: FittingSpec
    av_lessons: TeachingSpec
    ar_lessons: TeachingSpec
    accepts_teachers: tuple[str, ...]  # by name, in one corpus; else two are refused
    av_start: AvSpec | None
    av: AvSpec
    ar: ArSpec
    rl: tuple[RlSpec, ...]  # each from the supervised pair; without any, that is the NLA
    speaking: Speaking
    evaluation: Evaluating
    placement: Placement
    anchor_learns: bool = True  # False: the pair learns from the trained hosts alone
    notes: str = ""

    def __post_init__(self) -> None:
        check_slug(self, name=self.name)
        tags = [host.tag for host in self.hosts]
        if len(set(tags)) < len(tags):
            raise ValueError(f"Recipe.hosts names a tag twice: {', '.join(tags)}")
        if unknown := [
            host.tag for host in self.placement.extraction.hosts if host.tag not in tags
        ]:
            raise ValueError(
                f"Recipe.placement.extraction.hosts names {', '.join(unknown)}; "
                f"the hosts are {', '.join(tags)}"
            )
        # Sorted lists and not sets: a host in two parts would be trained on and held out.
        parts = [self.anchor, *self.trained, *self.held_out]
        if sorted(parts) != sorted(tags):
            raise ValueError(
                f"Recipe.anchor, trained and held_out are {', '.join(parts)}; "
                f"together they must name every host once: {', '.join(tags)}"
            )
        if not (self.anchor_learns or self.trained):
            raise ValueError(
                "Recipe.anchor_learns is false and Recipe.trained is empty: the pair would learn "
                "from no host"
            )
        if self.av_start is not None:
            _check_start(self.av_start, self.av)
        self._check_models()
        self._check_train_rows()
        runs = [run.tag for run in self.rl]
        if len(set(runs)) < len(runs):
            raise ValueError(f"Recipe.rl names a tag twice: {', '.join(runs)}")

    @property
    def has_truth(self) -> bool:
        """Whether it is known what is true of the passages."""
        return self.passages.corpus.has_truth

    def host(self, tag: str) -> HostSpec:
        """The host of that tag."""
        return next(host for host in self.hosts if host.tag == tag)

    def check_teachers(self) -> None:
        """Raise where several teachers are to be in one corpus and are not accepted by name.

        Before any work: that of a stage, by what a file holds, comes after they were asked.
        """
        for lessons in (self.av_lessons, self.ar_lessons):
            names = names_of(lessons.teacher)
            if len(names) > 1 and any(not _accepted(n, self.accepts_teachers) for n in names):
                raise ValueError(
                    f"{self.name} mixes teachers ({', '.join(names)}); that destroyed a published "
                    "run (0.92 -> 0.83, one host at -0.75): use one, or accept them by name with "
                    f"--set accepts_teachers={','.join(dict.fromkeys(names))}"
                )

    def learning_tags(self) -> tuple[str, ...]:
        """The hosts whose activations the pair learns from: the trained ones, mostly the anchor."""
        return self.mapped_tags() if self.anchor_learns else self.trained

    def mapped_tags(self) -> tuple[str, ...]:
        """The hosts whose encoders make the space that the pair learns in."""
        return (self.anchor, *self.trained)

    def roles(self) -> dict[str, str]:
        """The role of every host, by tag."""
        trained = dict.fromkeys(self.trained, "trained")
        return {self.anchor: "anchor", **trained, **dict.fromkeys(self.held_out, "held out")}

    def _check_models(self) -> None:
        """Raise where a block is not in the trunk, or encoders are to be trained and none is."""
        num_blocks = self.host(self.anchor).source.num_blocks
        blocks = {"ar.block_index": self.ar.block_index}
        if isinstance(self.av.injection.rule, AfterBlock):
            blocks["av.injection.rule.index"] = self.av.injection.rule.index
        for field, index in blocks.items():
            if num_blocks is not None and index is not None and index >= num_blocks:
                raise ValueError(
                    f"Recipe.{field} is {index}; {self.anchor} has {num_blocks} blocks"
                )
        if not self.trained and self.av.encoder_learning_rate is not None:
            raise ValueError(
                f"Recipe.av.encoder_learning_rate is {self.av.encoder_learning_rate}, but "
                "Recipe.trained is empty: the anchor's encoder is the identity and stays so"
            )

    def _check_train_rows(self) -> None:
        """Raise where the AV is to learn from more rows than there can be."""
        corpus = self.passages.corpus
        if not isinstance(corpus, WorldCorpus):
            return  # how many passages there are is known when they are read
        share = self.passages.split.shares()[Split.AV_SFT]
        expected = corpus.num_passages * share
        # Who lies in a split is drawn: five standard deviations more are never there.
        most = expected + 5 * sqrt(expected * (1 - share))
        most *= 1 if isinstance(self.read, Pooled | LastToken) else self.read.per_passage
        if self.av.train_rows is not None and self.av.train_rows > most:
            raise ValueError(
                f"Recipe.av.train_rows is {self.av.train_rows}; of {corpus.num_passages} "
                f"passages about {expected:.0f} are in split av_sft, with at most {most:.0f} rows"
            )


def _accepted(name: str, accepts: tuple[str, ...]) -> bool:
    """Whether a teacher is accepted by its name, with its fingerprint or without."""
    return any(one == name or one.startswith(f"{name}-") for one in accepts)


def _check_start(start: AvSpec, av: AvSpec) -> None:
    """Raise where the weights of one training are not those that the other goes on with."""
    for name in ("template", "lora", "start"):
        if getattr(start, name) != getattr(av, name):
            raise ValueError(
                f"Recipe.av_start.{name} is {getattr(start, name)}, av.{name} is "
                f"{getattr(av, name)}; they must be the same: one goes on with the other's weights"
            )
    if start.injection.centring != av.injection.centring:
        raise ValueError(
            f"Recipe.av_start.injection.centring is {start.injection.centring}, that of av "
            f"{av.injection.centring}; they must be the same: both read vectors of one space"
        )
    if start.injection.affine is not None and start.injection != av.injection:
        raise ValueError(
            "Recipe.av_start.injection.affine has maps, and av.injection is another one; with "
            "av_start.injection.affine=none any slots and maps can follow"
        )
    for name, spec in (("av_start", start), ("av", av)):
        if spec.encoder_learning_rate is not None:
            raise ValueError(
                f"Recipe.{name}.encoder_learning_rate is {spec.encoder_learning_rate}; encoders "
                "are trained from a trunk only: set it to none, or av_start"
            )
