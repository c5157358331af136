"""The commits of what a recipe names on the hub without one: asked once, and noted in the root.

So a recipe that names none says the same thing in a root for ever, though branches move.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from interlingua.specs.corpora import CorpusSpec, HubText, Mixture
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.teachers import LocalTeacher, TeacherSpec
from interlingua.specs.training import HubFolder, Start
from interlingua.store.atomic import write_atomically

NAME = "commits.json"
Kind = Literal["model", "dataset"]
CommitOf = Callable[[str, Kind], str | None]  # by name on the hub; None: it is left open


def committed(recipe: Recipe, commit_of: CommitOf) -> Recipe:
    """The recipe with a commit for everything on the hub that it names without one."""
    av_start = recipe.av_start
    start = _start(recipe.av.start, commit_of)
    return replace(
        recipe,
        passages=replace(recipe.passages, corpus=_corpus(recipe.passages.corpus, commit_of)),
        hosts=tuple(_host(host, commit_of) for host in recipe.hosts),
        av=replace(recipe.av, start=start),
        av_start=None if av_start is None else replace(av_start, start=start),
        **{
            name: replace(lessons, teacher=_teacher(lessons.teacher, commit_of))
            for name in ("av_lessons", "ar_lessons")
            for lessons in (getattr(recipe, name),)
        },
    )


def open_names(recipe: Recipe) -> list[str]:
    """What the recipe names on the hub without a commit, in its order."""
    found: dict[str, None] = {}

    def note(name: str, kind: Kind) -> None:
        found[_key(name, kind)] = None

    committed(recipe, note)
    return list(found)


def check_commits(recipe: Recipe) -> None:
    """Raise where something on the hub is named without a commit."""
    named = {
        f"hosts.{host.tag}.source": (host.source.source, host.source.revision)
        for host in recipe.hosts
        if isinstance(host.source, HubHost)
    }
    if isinstance(start := recipe.av.start, HubFolder):
        named["av.start"] = (start.source, start.revision)
    for name in ("av_lessons", "ar_lessons"):
        if isinstance(teacher := getattr(recipe, name).teacher, LocalTeacher):
            named[f"{name}.teacher"] = (teacher.source, teacher.revision)
    for field, (source, revision) in named.items():
        if is_on_hub(source, revision):
            raise ValueError(without_commit(field, source))
    if names := open_names(recipe):
        raise ValueError(without_commit("passages.corpus", names[0]))


def without_commit(field: str, name: str) -> str:
    """The error of something on the hub that is named without a commit."""
    return (
        f"{field}.revision is none for the hub id {name!r}; name the "
        "commit, because the default branch moves (no file or folder of that name is here)"
    )


def commits_in(root: Path) -> CommitOf:
    """The commits that are noted in a root; others stay open."""
    noted = _noted(root)
    return lambda name, kind: noted.get(_key(name, kind))


def note_commits(recipe: Recipe, root: Path) -> CommitOf:
    """The commits of a root; those that it lacks are asked of the hub, and noted."""
    from interlingua.models.hosts.commits import commit_of
    from interlingua.models.hosts.hub import NotFetched

    noted = _noted(root)
    lacks = [one for one in open_names(recipe) if one not in noted]
    for index, one in enumerate(lacks):
        folder, _, name = one.partition("/")
        try:
            noted[one] = commit_of(name, "dataset" if folder == "datasets" else "model")
        except NotFetched as error:
            others = len(lacks) - index - 1
            raise NotFetched(
                f"{recipe.name} names no commit of {name}"
                + (f" and {others} others" if others else "")
                + f", and the hub does not say which is the last: {error}. Or name it, "
                "with revision"
            ) from error
    if lacks and root.absolute().parent.is_dir():
        root.mkdir(exist_ok=True)
        with write_atomically(root / NAME) as file:
            file.write(json.dumps(noted, indent=2, sort_keys=True).encode())
    return lambda name, kind: noted.get(_key(name, kind))


def _noted(root: Path) -> dict[str, str]:
    path = root / NAME
    if not path.exists():
        return {}
    try:
        noted: dict[str, str] = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); restore it, or delete it") from None
    return noted


def _key(name: str, kind: Kind) -> str:
    return f"{kind}s/{name}"


def _host(host: HostSpec, commit_of: CommitOf) -> HostSpec:
    source = host.source
    if not isinstance(source, HubHost) or not is_on_hub(source.source, source.revision):
        return host
    return replace(host, source=replace(source, revision=commit_of(source.source, "model")))


def _start(start: Start, commit_of: CommitOf) -> Start:
    if not isinstance(start, HubFolder) or not is_on_hub(start.source, start.revision):
        return start
    return replace(start, revision=commit_of(start.source, "model"))


def _teacher(teacher: TeacherSpec, commit_of: CommitOf) -> TeacherSpec:
    if not isinstance(teacher, LocalTeacher) or not is_on_hub(teacher.source, teacher.revision):
        return teacher
    return replace(teacher, revision=commit_of(teacher.source, "model"))


def _corpus(corpus: CorpusSpec, commit_of: CommitOf) -> CorpusSpec:
    match corpus:
        case HubText(revision=None):
            return replace(corpus, revision=commit_of(corpus.dataset, "dataset"))
        case Mixture():
            parts = []
            for part in corpus.parts:
                own = _corpus(part.corpus, commit_of)
                assert not isinstance(own, Mixture)
                parts.append(replace(part, corpus=own))  # type: ignore[arg-type]
            return replace(corpus, parts=tuple(parts))
        case _:
            return corpus


def is_on_hub(source: str, revision: str | None) -> bool:
    """True for a hub id without a commit, by how it is written and what is here."""
    path = Path(source).expanduser()
    is_id = source.count("/") == 1 and not source.startswith((".", "/", "~"))
    return revision is None and is_id and path.suffix != ".gguf" and not path.exists()
