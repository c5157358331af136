"""What can be seen of a recipe's files before anything is built, by their own readers.

Of few texts all is seen; of many the first, and how they join. What stands in the ten millionth row
is found where it is read. Of the hub nothing is fetched for this.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from interlingua.sources.files import TABLES, TEXTS, are_gone, files_of
from interlingua.sources.pinned import VECTORS
from interlingua.specs.corpora import CorpusSpec, Mixture, PassagesSpec, TextFiles
from interlingua.specs.extraction import Reading
from interlingua.specs.models import ActivationFile, HostSpec
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExplanationFile

if TYPE_CHECKING:  # a recipe of the world must be shown without a library of arrays
    from interlingua.store.rows.passages import Passage

FIRST_ROWS = 10_000  # a second
BATCH_ROWS = 1024
MOST_BYTES = 2**29  # of what is read through for this: a minute


@dataclass(frozen=True, slots=True)
class _Texts:
    """The first passages of a corpus; no near-duplicate is left out of them."""

    spec: PassagesSpec
    first: "list[Passage]"
    is_whole: bool  # there are no others
    num_bytes: int

    def of_first(self, *splits: Split) -> "Iterator[Passage]":
        """Those of some splits among the first."""
        return (passage for passage in self.first if passage.split in splits)

    def of(self, *splits: Split) -> "Iterator[Passage]":
        """All passages of some splits."""
        if self.is_whole:
            return self.of_first(*splits)
        return (passage for passage in _passages(self.spec) if passage.split in splits)

    @property
    def is_small(self) -> bool:
        """Whether all of them may be read, if need be."""
        return self.is_whole or self.num_bytes <= MOST_BYTES


def check_files(recipe: Recipe) -> None:
    """Raise where a file of texts, explanations or activations is wrong, or they do not join.

    Files that are gone, and known by the hashes that the recipe names, are left out.
    """
    for _, check in file_checks(recipe):
        check()


def file_checks(recipe: Recipe) -> Iterator[tuple[str, Callable[[], None]]]:
    """The parts of a recipe that have files, each with its check, which raises; texts first."""
    texts: _Texts | None = None

    def check_texts() -> None:
        nonlocal texts
        texts = _first_texts(recipe.passages)

    def check_explanations(teacher: ExplanationFile, own: tuple[Split, ...]) -> None:
        _check_explanations(teacher, recipe.read, texts, own)

    def check_activations(host: HostSpec) -> None:
        _check_activations(host, recipe, texts, splits)

    if _local_parts(recipe.passages.corpus):
        yield "passages.corpus", check_texts
    unseen = recipe.evaluation.split
    for name, lessons, own in (
        ("av_lessons", recipe.av_lessons, (Split.AV_SFT, Split.DEV, unseen)),
        ("ar_lessons", recipe.ar_lessons, (Split.AR_SFT,)),
    ):
        teacher = lessons.teacher
        if isinstance(teacher, ExplanationFile) and not are_gone(teacher.path, TABLES):
            yield f"{name}.teacher", partial(check_explanations, teacher, own)
    read = [Split.FIT, Split.DEV, Split.AV_SFT, Split.AR_SFT, unseen]
    splits = tuple(dict.fromkeys([*read, Split.RL] if recipe.rl else read))
    for host in recipe.hosts:
        if host.rows is not None and not _is_gone(host.rows):
            yield f"hosts.{host.tag}.rows", partial(check_activations, host)


def _first_texts(spec: PassagesSpec) -> _Texts | None:
    """None of a corpus that is not here, or no more; raises where one of the texts is wrong."""
    parts = _local_parts(spec.corpus)
    if not parts or any(are_gone(part.path, TEXTS) for part in parts):
        return None
    from interlingua.sources.shaping import check_splits

    found = _passages(spec)
    first = list(islice(found, FIRST_ROWS))
    is_whole = next(found, None) is None
    if is_whole:
        check_splits(spec, Counter(passage.split for passage in first))
    return _Texts(spec, first, is_whole, sum(map(_num_bytes, parts)))


def _passages(spec: PassagesSpec) -> "Iterator[Passage]":
    from interlingua.sources.shaping import shaped
    from interlingua.sources.source import corpus_of

    return shaped(corpus_of(spec.corpus).records(), spec, Counter())


def _check_explanations(
    teacher: ExplanationFile, read: Reading, texts: _Texts | None, splits: tuple[Split, ...]
) -> None:
    from interlingua.sources.teachers.explanation_file import check_reading, opened

    check_reading(teacher, read)
    joins = opened(teacher).joins_first([] if texts is None else texts.first, FIRST_ROWS)
    if texts is None or not texts.is_small or (joins and not texts.is_whole):
        return
    for split in splits:
        opened(teacher).prepare(texts.of(split))


def _check_activations(
    host: HostSpec, recipe: Recipe, texts: _Texts | None, splits: tuple[Split, ...]
) -> None:
    from interlingua.models.hosts.sizes import size_of
    from interlingua.sources.activation_file import BadRows, check_reading, opened
    from interlingua.sources.fitting_vectors import check_size, num_texts_of
    from interlingua.sources.joined_rows import joined

    assert host.rows is not None
    reads_all = texts is not None and texts.is_small
    check_reading(host.rows, recipe.read)
    num_texts = num_texts_of(recipe.passages) if reads_all else None
    vectors = opened(host.rows, host.block_index)
    if (size := size_of(host.source)) is not None:
        check_size(
            vectors, host.tag, host.block_index, width=size.width, num_blocks=size.num_blocks
        )
    if texts is None or not texts.is_small:
        return
    join = partial(joined, host.rows, vectors, num_texts=num_texts)
    try:
        there = {passage.split for passage in texts.first}
        first = tuple(split for split in splits if texts.is_whole or split in there)
        rows = join(partial(texts.of_first, *first), first)
    except ValueError:
        if texts.is_whole:
            raise
        # Of others there may be vectors: the error is that of all passages, if there is one.
        rows = join(partial(texts.of, *splits), splits)
    numbers_N, bad = rows.numbers_N[: MOST_BYTES // (4 * vectors.width)], BadRows()
    for start in range(0, len(numbers_N), BATCH_ROWS):
        some_N = numbers_N[start : start + BATCH_ROWS]
        bad.note(some_N, vectors.take(some_N))
    bad.check(vectors.where)


def _is_gone(rows: ActivationFile) -> bool:
    index = rows.index
    return are_gone(rows.path, VECTORS) or (index is not None and are_gone(index, TABLES))


def _local_parts(corpus: CorpusSpec) -> list[TextFiles]:
    """The files of a corpus, if all of it is files."""
    parts = [one.corpus for one in corpus.parts] if isinstance(corpus, Mixture) else [corpus]
    local = [part for part in parts if isinstance(part, TextFiles)]
    return local if len(local) == len(parts) else []


def _num_bytes(corpus: TextFiles) -> int:
    files = files_of(corpus.path, TEXTS, field="TextFiles.path")
    return sum(path.stat().st_size for path in files)
