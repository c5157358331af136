"""A recipe with everything that it names pinned: files by their hashes, models by their depth.

After it the recipe says what is computed, whatever happens to the files: each stage compares.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from interlingua.sources.commits import check_commits, is_on_hub, without_commit
from interlingua.sources.files import (
    TABLES,
    TEXTS,
    State,
    are_gone,
    files_of,
    sha256_of_files,
    state_of,
)
from interlingua.specs.corpora import CorpusSpec, HubText, Mixture, TextFiles
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import ActivationFile, HostSpec, HubHost
from interlingua.specs.recipe import Recipe, TeachingSpec
from interlingua.specs.teachers import ExplanationFile, LocalTeacher, asks_endpoint
from interlingua.specs.training import Base, HubFolder, Start

VECTORS = (".safetensors", ".npy", ".pt", ".pth", ".bin", ".parquet")
GGUF = ".gguf"

Model = TypeVar("Model", HubFolder, LocalTeacher)
Part = TypeVar("Part")


def pinned(recipe: Recipe, *, is_built: bool = True) -> Recipe:
    """The recipe with every hash and depth that it left to be taken; raises with all it lacks.

    Where nothing is built, what is on the hub may be named without a commit, and teachers be mixed.
    """
    if missing := unset(recipe):
        raise ValueError(f"{recipe.name} needs " + " ".join(f"--set {one}=..." for one in missing))
    _check_numbered(recipe)
    if is_built:
        check_commits(recipe)
        recipe.check_teachers()
    hosts = tuple(_host(host) for host in recipe.hosts)
    anchor = next(host for host in hosts if host.tag == recipe.anchor)
    block = anchor.block_index if recipe.ar.block_index is None else recipe.ar.block_index
    start = _start(recipe.av.start)
    av_start = recipe.av_start
    return replace(
        recipe,
        av_start=None if av_start is None else replace(av_start, start=start),
        av=replace(recipe.av, start=start),
        ar=replace(recipe.ar, block_index=block),
        passages=replace(
            recipe.passages, corpus=_corpus(recipe.passages.corpus, "passages.corpus")
        ),
        hosts=hosts,
        av_lessons=_taught(recipe.av_lessons, "av_lessons"),
        ar_lessons=_taught(recipe.ar_lessons, "ar_lessons"),
    )


def pinned_files(recipe: Recipe) -> tuple[Recipe, dict[str, str]]:
    """The recipe with the hashes of its files, no more; and by field why one cannot be taken."""
    wrong: dict[str, str] = {}

    def tried(take: Callable[[Part, str], Part], part: Part, field: str) -> Part:
        try:
            return take(part, field)
        except (ValueError, OSError) as error:
            wrong[field] = str(error)
            return part

    def with_rows(host: HostSpec) -> HostSpec:
        if host.rows is None:
            return host
        return replace(host, rows=tried(_rows, host.rows, f"hosts.{host.tag}.rows"))

    corpus = tried(_corpus, recipe.passages.corpus, "passages.corpus")
    found = replace(
        recipe,
        passages=replace(recipe.passages, corpus=corpus),
        hosts=tuple(map(with_rows, recipe.hosts)),
        av_lessons=tried(_taught, recipe.av_lessons, "av_lessons"),
        ar_lessons=tried(_taught, recipe.ar_lessons, "ar_lessons"),
    )
    return found, wrong


def unset(recipe: Recipe) -> list[str]:
    """The paths of the recipe that somebody must set, because nothing stands there."""
    named = {
        f"hosts.{host.tag}.source.source": host.source.source
        for host in recipe.hosts
        if isinstance(host.source, HubHost)
    }
    if isinstance(recipe.passages.corpus, TextFiles):
        named["passages.corpus.path"] = recipe.passages.corpus.path
    for name in ("av_lessons", "ar_lessons"):
        teacher = getattr(recipe, name).teacher
        if isinstance(teacher, ExplanationFile):
            named[f"{name}.teacher.path"] = teacher.path
        if asks_endpoint(teacher):
            named["placement.teaching.url"] = recipe.placement.teaching.url
        if isinstance(teacher, LocalTeacher):
            named[f"{name}.teacher.source"] = teacher.source
    for host in recipe.hosts:
        if host.rows is not None:
            named[f"hosts.{host.tag}.rows.path"] = host.rows.path
    return [path for path, value in named.items() if not value]


def _check_numbered(recipe: Recipe) -> None:
    """Raise where vectors go by number and texts by names of their own."""
    corpus = recipe.passages.corpus
    for host in recipe.hosts:
        if host.rows is None or host.rows.index is not None:
            continue
        if not isinstance(corpus, TextFiles):
            raise ValueError(
                f"hosts.{host.tag}.rows go by the numbers of texts of files; this corpus is none. "
                "Name in rows.index a file of a row a vector that says which text it is of"
            )
        if corpus.id_field is not None:
            raise ValueError(
                f"hosts.{host.tag}.rows has no index, but the texts have ids of their own "
                f"({corpus.id_field}): name in rows.index a file of a row a vector with that "
                f"field; where vector i is of row i, the texts themselves ({corpus.path})"
            )


def pinned_host(host: HubHost, *, needs_depth: bool) -> HubHost:
    """The model with the hash of its files, or its commit, and how many blocks it has."""
    if is_on_hub(host.source, host.revision):
        raise ValueError(without_commit(f"hosts.{host.tag}.source", host.source))
    return _pinned_host(host, needs_depth=needs_depth)


def _pinned_host(host: HubHost, *, needs_depth: bool) -> HubHost:
    from interlingua.models.hosts.sizes import num_blocks_of

    found = _with_files(host)
    if found.num_blocks is None and needs_depth:
        found = replace(found, num_blocks=num_blocks_of(found))
    return found


def _with_files(host: HubHost, field: str | None = None) -> HubHost:
    field = f"hosts.{host.tag}.source" if field is None else field
    place = Path(host.source).expanduser()
    take: Callable[[Path], str] | None = None
    if place.is_dir():
        take = _sha256_of_model
    elif place.is_file() and place.suffix == GGUF:
        take = _sha256
    if take is not None:
        if host.revision is not None:
            raise ValueError(
                f"{field}.revision is {host.revision}; {place} is here and has "
                "none: it is known by its hash"
            )
        digits = host.files_sha256 or take(place)
        return replace(host, source=str(place.resolve()), files_sha256=digits)
    # A hub id has one slash: what has more is a path, and a mistyped one is no model of the hub.
    is_path = place.is_absolute() or host.source.startswith(".") or host.source.count("/") > 1
    if is_path or place.suffix == GGUF:
        if host.files_sha256 is not None:
            # Named by its hash: of a GGUF file a run has a copy, and needs it no more.
            return replace(host, source=str(place.resolve()))
        raise ValueError(
            f"{field}.source={host.source}: nothing is there; a model is a folder "
            "that save_pretrained wrote, a .gguf file, or a hub id"
        )
    return host


def _start(start: Start) -> Start:
    return start if isinstance(start, Base) else _model(start, "av.start")


def _model(named: Model, field: str) -> Model:
    """A model that is no host, with the hash of its files."""
    host = HubHost(
        tag="model",
        source=named.source,
        revision=named.revision,
        files_sha256=named.files_sha256,
    )
    found = _with_files(host, field)
    return replace(named, source=found.source, files_sha256=found.files_sha256)


def _host(host: HostSpec) -> HostSpec:
    source, rows = host.source, host.rows
    if isinstance(source, HubHost):
        source = _pinned_host(source, needs_depth=not isinstance(host.block, AtBlock))
    if rows is not None:
        rows = _rows(rows, f"hosts.{host.tag}.rows")
    return replace(host, source=source, rows=rows)


def _rows(rows: ActivationFile, field: str) -> ActivationFile:
    digits = _taken(rows.path, VECTORS, rows.sha256, f"{field}.path")
    found = replace(rows, path=_absolute(rows.path), sha256=digits)
    if rows.index is None:
        return found
    digits = _taken(rows.index, TABLES, rows.index_sha256, f"{field}.index")
    return replace(found, index=_absolute(rows.index), index_sha256=digits)


def _corpus(corpus: CorpusSpec, field: str) -> CorpusSpec:
    match corpus:
        case TextFiles():
            digits = _taken(corpus.path, TEXTS, corpus.sha256, f"{field}.path")
            return replace(corpus, path=_absolute(corpus.path), sha256=digits)
        case Mixture():
            parts = []
            for part in corpus.parts:
                own = _corpus(part.corpus, f"{field}.parts.{part.tag}.corpus")
                assert isinstance(own, TextFiles | HubText)
                parts.append(replace(part, corpus=own))
            return replace(corpus, parts=tuple(parts))
        case _:
            return corpus


def _taught(taught: TeachingSpec, field: str) -> TeachingSpec:
    teacher = taught.teacher
    if isinstance(teacher, LocalTeacher):
        return replace(taught, teacher=_model(teacher, f"{field}.teacher"))
    if not isinstance(teacher, ExplanationFile):
        return taught
    digits = _taken(teacher.path, TABLES, teacher.sha256, f"{field}.teacher.path")
    return replace(taught, teacher=replace(teacher, path=_absolute(teacher.path), sha256=digits))


def _taken(path: str, suffixes: Sequence[str], sha256: str | None, field: str) -> str:
    """The hash that is named, or that of the files; behind a finished run they may be gone."""
    if not are_gone(path, suffixes):
        return sha256 or sha256_of_files(files_of(path, suffixes, field=field))
    if sha256 is not None:
        return sha256
    owner, _, name = field.rpartition(".")
    digits = f"{owner}.{'index_' if name == 'index' else ''}sha256"
    raise ValueError(
        f"{field}={path} names no file; give a file, a folder or a pattern with *. Where a run has "
        f"read it and it is gone, set {digits} to what the records of that run say"
    )


def _sha256_of_model(folder: Path) -> str:
    from interlingua.store.model_files import files_sha256

    state = state_of(sorted(path for path in folder.rglob("*") if path.is_file()))
    return files_sha256(folder) if state is None else _sha256_of_model_as_of(folder, state)


@lru_cache(maxsize=64)
def _sha256_of_model_as_of(folder: Path, state: State) -> str:
    # Once a process: a sweep pins the recipe of each of its cells.
    from interlingua.store.model_files import files_sha256

    return files_sha256(folder)


def _sha256(path: Path) -> str:
    return sha256_of_files([path])


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
