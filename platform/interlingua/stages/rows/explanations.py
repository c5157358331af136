"""Stage `explanations`: a teacher's texts about activations."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from interlingua.specs.placement import WorkKind
from interlingua.specs.splits import Split
from interlingua.specs.teachers import asks_endpoint
from interlingua.specs.training import TeachSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

if TYPE_CHECKING:
    from interlingua.sources.source import Teacher
    from interlingua.stages.rows.explained_sites import Sites
    from interlingua.stages.rows.teaching_progress import TeachingProgress
    from interlingua.store.rows.explanations import Explanation
    from interlingua.store.rows.passages import Passage


SITES_TOGETHER = 512  # that a teacher is asked about at once


class ReadTokens(NamedTuple, Generic[Member]):
    """The host whose tokenizer cut the text, and its rows: the places where tokens were read."""

    host: Member
    rows: Member


class ExplanationsInputs(NamedTuple, Generic[Member]):
    """The passages to explain; `tokens` is None where a passage is explained as a whole.

    `host` is whose words a teacher asks for; most ask for none. `model` is a teacher that runs
    here.
    """

    passages: Member
    tokens: ReadTokens[Member] | None
    host: Member | None = None
    model: Member | None = None


def explanations_stage(spec: TeachSpec, inputs: ExplanationsInputs[Stage]) -> Stage:
    """Explanations of one split."""
    (split,) = spec.splits
    return Stage(
        kind="explanations",
        label=f"teacher-{Split(split)}",
        spec=spec,
        run=run,
        inputs=inputs,
        revision=3,
        work=None if inputs.model is None else WorkKind.VERBALIZING,
        device=None if inputs.host is inputs.model is None else WorkKind.VERBALIZING,
    )


def run(
    spec: TeachSpec, inputs: ExplanationsInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Explain every activation of the splits; without `tokens`, every passage as a whole."""
    if inputs.model is not None:
        from interlingua.stages.rows.local_explanations import explained_in_blocks

        return explained_in_blocks(
            spec, inputs.passages, inputs.tokens, inputs.model, out=out, context=context
        )
    from interlingua.stages.rows.explained_sites import Sites
    from interlingua.stages.rows.teaching_progress import TeachingProgress
    from interlingua.store.rows.explanations import write_explanations
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.splits import recorded_access

    progress = TeachingProgress(out) if asks_endpoint(spec.teacher) else None
    teacher = _opened(spec, inputs, out, context, progress)
    path = inputs.passages.path / PASSAGES_NAME
    with recorded_access({*spec.splits, *teacher.prepares_on}, out) as access:
        seen = {*spec.splits, *teacher.prepares_on}
        teacher.prepare(read_passages(path, seen, access))
        sites = Sites(spec.spans, inputs.tokens, spec.splits, access)
        if progress is not None:
            found = read_passages(path, spec.splits, access)
            progress.begin(spec.samples * sum(1 for one in found for _ in sites.of(one)))
        passages = read_passages(path, spec.splits, access)
        num_rows = write_explanations(out, _explained(passages, sites, teacher, spec.samples))
    # Not a Counter: who answered is no number.
    counts = {name: value for name, value in teacher.counts().items() if value}
    if not num_rows:
        raise ValueError(
            f"no row of {', '.join(spec.splits)} has an explanation: the teacher has none for "
            f"their passages (of {path}); it counts {counts or 'nothing'}"
        )
    return {**counts, "num_rows": num_rows}


def _opened(
    spec: TeachSpec,
    inputs: ExplanationsInputs[Artifact],
    out: Path,
    context: Context,
    progress: "TeachingProgress | None",
) -> "Teacher":
    from interlingua.sources.source import teacher_of

    if progress is not None:
        teaching = context.placement.teaching
        return teacher_of(spec.teacher, place=teaching, out=out, on_rows=progress.add)
    if inputs.host is None:
        return teacher_of(spec.teacher)
    from interlingua.models.hosts.next_tokens import NextTokens
    from interlingua.store.hosts import opened_from

    source, revision = opened_from(inputs.host)
    place = context.placement.verbalizing
    host = NextTokens(source, revision=revision, device=place.device, batch_rows=place.batch_rows)
    return teacher_of(spec.teacher, host=host)


def _explained(
    passages: "Iterator[Passage]", sites: "Sites", teacher: "Teacher", num_samples: int
) -> "Iterator[Explanation]":
    from interlingua.store.rows.explanations import Explanation

    asked = ((passage, site) for passage in passages for site in sites.of(passage))
    while together := list(islice(asked, SITES_TOGETHER)):
        found = teacher.explain(together, num_samples)
        for (passage, site), texts in zip(together, found, strict=True):
            for sample, (name, text) in enumerate(texts):
                yield Explanation(
                    passage_id=passage.passage_id,
                    position=site.position,
                    sample=sample,
                    split=Split(passage.split),
                    teacher=name,
                    text=text,
                )
