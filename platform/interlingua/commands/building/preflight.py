"""`--preflight`: all that a recipe would need and does not find, in one table, before a run.

Nothing is built, no weights are loaded; small files of models are fetched where the hub answers.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from interlingua.commands.command_line import chosen, table_console
from interlingua.sources.commits import commits_in, committed
from interlingua.specs.finding import Finding, State
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.teachers import LocalTeacher
from interlingua.specs.training import HubFolder

if TYPE_CHECKING:  # `--help` needs neither torch nor Ray
    from interlingua.models.hosts.preflight import ModelAsked, ModelSeen

AT_ONCE = 8  # models that the hub is asked about


class NotReady(ValueError):
    """A run of the recipe would stop for want of something."""


def add_preflight(made: argparse.ArgumentParser) -> None:
    """The argument of jobs that build a recipe."""
    made.add_argument(
        "--preflight",
        action="store_true",
        help="list all that a run would need (models, texts, teacher, devices, disk) and what of "
        "it is missing, build nothing; exit code 0 where nothing is",
    )


def preflight_recipe(arguments: argparse.Namespace) -> Recipe | None:
    """The recipe that is to be looked through, with noted commits; None without --preflight."""
    if not getattr(arguments, "preflight", False):  # not an argument of every job
        return None
    return committed(chosen(arguments), commits_in(arguments.root))


def show_preflight(recipe: Recipe, root: Path, *, extra: Sequence[HostSpec] = ()) -> None:
    """Print the table; raises NotReady where a run would stop. `extra` are hosts to be added."""
    findings = list(findings_of(recipe, root, (*recipe.hosts, *extra)))
    _print(findings)
    if bad := [finding for finding in findings if not finding.is_good]:
        parts = list(dict.fromkeys(finding.subject for finding in bad))
        some = ", ".join(parts[:5]) + (f" and {len(parts) - 5} more" if len(parts) > 5 else "")
        raise NotReady(f"{recipe.name} is not ready: see {some} in the table")
    print(f"{recipe.name} is ready")


def findings_of(recipe: Recipe, root: Path, hosts: Sequence[HostSpec]) -> Iterator[Finding]:
    """Every finding about a recipe, in the order in which a run would meet it."""
    from interlingua.cluster.findings import cluster_findings, seen_nodes
    from interlingua.commands.building.preflight_sizes import (
        disk_lines,
        memory_lines,
        training_lines,
    )
    from interlingua.models.hosts.reach import why_no_hub
    from interlingua.sources.preflight import corpus_findings, file_findings

    why = why_no_hub()
    yield _hub_line(why)
    yield from corpus_findings(recipe.passages.corpus, why)
    yield from file_findings(recipe)
    yield from _teacher_lines(recipe)
    there, asked = seen_nodes(recipe.placement), list(_models(recipe, root, hosts))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda one: _seen(one, why), asked))
    models = list(zip(asked, seen, strict=True))
    for one, found in models:
        yield from found.findings
        yield from memory_lines(one, found, recipe, there.nodes)
        if one.subject == f"hosts.{recipe.anchor}":
            yield from _trunk_lines(one, found, recipe)
    yield from cluster_findings(recipe.placement, there)
    yield from training_lines(recipe, models, there.nodes)
    yield from disk_lines(recipe, root, models)


def _models(recipe: Recipe, root: Path, hosts: Sequence[HostSpec]) -> Iterator["ModelAsked"]:
    """The models of a recipe that are not made here."""
    from interlingua.models.hosts.preflight import ModelAsked

    for host in hosts:
        if isinstance(host.source, HubHost) and host.source.source:
            yield ModelAsked(
                subject=f"hosts.{host.tag}",
                source=host.source.source,
                revision=host.source.revision,
                block=host.block,
                dtype=host.dtype,
                fetched=_fetched(host.source.source, host.source.revision, root),
            )
    others: list[tuple[str, HubFolder | LocalTeacher]] = []
    if isinstance(recipe.av.start, HubFolder):
        others.append(("av.start", recipe.av.start))
    for name, lessons in (("av_lessons", recipe.av_lessons), ("ar_lessons", recipe.ar_lessons)):
        if isinstance(lessons.teacher, LocalTeacher):
            others.append((f"{name}.teacher", lessons.teacher))
    for subject, one in others:
        yield ModelAsked(
            subject=subject,
            source=one.source,
            revision=one.revision,
            block=None,
            dtype="float32",
            fetched=_fetched(one.source, one.revision, root),
        )


def _fetched(source: str, revision: str | None, root: Path) -> Path | None:
    """The folder of a hub id in the root, where it has been fetched."""
    from interlingua.stages.rows.fetched_model import fetched_stage
    from interlingua.store.artifact import find
    from interlingua.store.hosts import MODEL_FOLDER

    if revision is None or Path(source).expanduser().exists():
        return None
    done = find(fetched_stage(source, revision), root)
    return None if done is None else done.path / MODEL_FOLDER


def _seen(asked: "ModelAsked", why_no_hub: str | None) -> "ModelSeen":
    from interlingua.models.hosts.preflight import seen_model

    return seen_model(asked, why_no_hub)


def _hub_line(why: str | None) -> Finding:
    from interlingua.models.hosts.reach import has_token

    token = "a token is set" if has_token() else "no token is set"
    if why is None:
        return Finding("hub", f"it answers; {token}", State.OK)
    # No problem by itself: what is here needs no hub, and what is not is a line of its own.
    remedy = "connect, or take HF_HOME from where there is a connection"
    return Finding("hub", f"{why}; {token}", State.UNKNOWN, remedy)


def _teacher_lines(recipe: Recipe) -> Iterator[Finding]:
    from interlingua.sources.preflight import accepted_findings, teacher_findings

    yield from accepted_findings(recipe)
    place, teacher = recipe.placement.teaching, recipe.av_lessons.teacher
    yield from teacher_findings("av_lessons.teacher", teacher, place)
    if recipe.ar_lessons.teacher != teacher:
        yield from teacher_findings("ar_lessons.teacher", recipe.ar_lessons.teacher, place)


def _trunk_lines(asked: "ModelAsked", seen: "ModelSeen", recipe: Recipe) -> Iterator[Finding]:
    from dataclasses import replace

    from interlingua.models.pair.preflight import trunk_findings

    if seen.tokenizer is None or seen.width is None or seen.num_ids is None:
        return
    ar = recipe.ar
    if ar.block_index is None:  # that of the anchor, which a run finds when it is pinned
        ar = replace(ar, block_index=0)
    yield from trunk_findings(
        asked.subject,
        seen.tokenizer,
        width=seen.width,
        num_ids=seen.num_ids,
        av=recipe.av,
        ar=ar,
        host_tags=recipe.roles(),
    )


def _print(findings: Sequence[Finding]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("of", "what", "state", "remedy"):
        table.add_column(name, overflow="fold")
    colours, last = {State.OK: "green", State.UNKNOWN: "yellow"}, ""
    for one in findings:
        subject = one.subject if one.subject != last else ""
        last = one.subject
        state = Text(one.state, style=colours.get(one.state, "red"))
        table.add_row(Text(subject), Text(one.what), state, Text(one.remedy))
    console.print(table)
