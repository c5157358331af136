"""What a run would meet in its texts, explanations and teachers: files, datasets, endpoints.

Of a dataset of the hub the list of files is asked for, of an endpoint its list of models.
"""

import json
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from interlingua.memory.parameters import readable_bytes
from interlingua.models.hosts.hub import HubRepository, NotFetched, listed_sizes
from interlingua.sources.checks import file_checks
from interlingua.sources.pinned import pinned_files, unset
from interlingua.specs.corpora import CorpusSpec, HubText, Mixture
from interlingua.specs.finding import Finding, State
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.recipe import Recipe
from interlingua.specs.teachers import ChatTeacher, MixedTeachers, TeacherSpec

ANSWER_SECONDS = 5.0
SOME_MODELS = 5  # of those that an endpoint has, in a line


def file_findings(recipe: Recipe) -> Iterator[Finding]:
    """A line for every file of texts, explanations and activations, and for what is not set."""
    empty = unset(recipe)
    for path in empty:
        yield Finding(path, "not set", State.MISSING, f"--set {path}=...")
    recipe, wrong = pinned_files(recipe)
    for field, cause in wrong.items():
        if not any(path.startswith(field) for path in empty):
            yield Finding(field, cause, State.WRONG, "correct the path, or bring the file")
    for field, check in file_checks(recipe):
        is_seen = any(path.startswith(field) for path in empty)
        if is_seen or any(field.startswith(name) for name in wrong):
            continue
        try:
            check()
        except (ValueError, OSError) as error:
            yield Finding(field, " ".join(str(error).split()), State.WRONG, "correct the file")
        else:
            yield Finding(field, "read as far as files are before a run", State.OK)


def corpus_findings(corpus: CorpusSpec, why_no_hub: str | None) -> Iterator[Finding]:
    """A line for every dataset of the hub in a corpus."""
    if isinstance(corpus, Mixture):
        for part in corpus.parts:
            yield from corpus_findings(part.corpus, why_no_hub)
    elif isinstance(corpus, HubText):
        yield _dataset_line(corpus, why_no_hub)


def teacher_findings(
    subject: str, teacher: TeacherSpec, place: TeachingPlacement
) -> Iterator[Finding]:
    """Lines about the endpoint of a teacher that is asked over the network."""
    if isinstance(teacher, MixedTeachers):
        for part in teacher.parts:
            yield from teacher_findings(f"{subject}.{part.tag}", part.teacher, place)
    elif isinstance(teacher, ChatTeacher):
        yield from _chat_lines(subject, teacher, place)


def accepted_findings(recipe: Recipe) -> Iterator[Finding]:
    """A line where teachers would be mixed in one corpus that nobody accepted."""
    try:
        recipe.check_teachers()
    except ValueError as error:
        what, _, remedy = str(error).partition(": ")
        yield Finding("accepts_teachers", what, State.WRONG, remedy)


def _dataset_line(corpus: HubText, why_no_hub: str | None) -> Finding:
    subject = "passages.corpus"
    # None: the commit of its branch when the recipe is first pinned.
    revision = corpus.revision or "main"
    repository = HubRepository(name=corpus.dataset, revision=revision, kind="dataset")
    try:
        sizes = listed_sizes(repository, asks_hub=why_no_hub is None)
    except NotFetched as error:
        if why_no_hub is None:
            what, _, remedy = str(error).partition("; ")
            return Finding(subject, what, State.WRONG, remedy or "name another dataset")
        remedy = "connect; or run once where there is a connection and set HF_HOME"
        return Finding(subject, f"{repository}: not in the cache", State.MISSING, remedy)
    found = {name: size for name, size in sizes.items() if fnmatchcase(name, corpus.files)}
    if not found:
        remedy = f"set files to a pattern of {', '.join(sorted(sizes)[:SOME_MODELS])}"
        what = f"{repository} has no file called {corpus.files}"
        return Finding(subject, what, State.WRONG, remedy)
    what = f"{repository}: {len(found)} files, {readable_bytes(sum(found.values()))} at the most"
    return Finding(subject, what, State.OK)


def _chat_lines(subject: str, teacher: ChatTeacher, place: TeachingPlacement) -> Iterator[Finding]:
    if not place.url:  # which is among what is not set
        return
    key = None
    if place.key_variable is not None:
        key = os.environ.get(place.key_variable)
        if key is None:
            what = f"the key of {place.url}: {place.key_variable} is not set"
            yield Finding(subject, what, State.MISSING, f"export {place.key_variable}=...")
    yield _endpoint_line(subject, teacher, place.url, key)
    budget = [
        f"{place.max_tokens:,} tokens" if place.max_tokens is not None else "",
        f"{place.max_dollars:g} dollars" if place.max_dollars is not None else "",
    ]
    what = f"budget: {' and '.join(filter(None, budget)) or 'none'}"
    remedy = "" if any(budget) else "placement.teaching.max_tokens or max_dollars set one"
    yield Finding(subject, what, State.OK, remedy)


def _endpoint_line(subject: str, teacher: ChatTeacher, url: str, key: str | None) -> Finding:
    """The line of an endpoint: whether it answers, and has the model."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with urlopen(Request(f"{url.rstrip('/')}/models", headers=headers),
                     timeout=ANSWER_SECONDS) as answer:  # fmt: skip
            models = [one["id"] for one in json.load(answer)["data"]]
    except HTTPError as error:
        if error.code in (401, 403):
            what = f"{url} refuses the key for its /models ({error.code})"
            return Finding(subject, what, State.WRONG, "set another in the environment")
        what = f"{url} answers {error.code} to /models: {teacher.model} may be there"
        return Finding(subject, what, State.UNKNOWN, "ask it once by hand")
    except OSError as error:  # also what urllib raises
        what = f"{url} does not answer ({' '.join(str(error).split())[:100]})"
        return Finding(subject, what, State.MISSING, "start it, or set placement.teaching.url")
    except (ValueError, KeyError, TypeError):
        what = f"{url} has no list of models that is OpenAI's"
        return Finding(subject, what, State.UNKNOWN, "mind placement.teaching.url; ends it in /v1?")
    if teacher.model not in models:
        remedy = f"it has {', '.join(models[:SOME_MODELS]) or 'none'}"
        return Finding(subject, f"{url} has no {teacher.model}", State.WRONG, remedy)
    return Finding(subject, f"{url} has {teacher.model}", State.OK)
