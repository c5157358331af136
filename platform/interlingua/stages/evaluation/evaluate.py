"""Stage `evaluation`: the numbers of all scored rows, and the gates that judge them.

No model is opened: any machine can make these numbers again from the rows. With the evaluation of
what training started from, the paired differences to it are among them.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.evaluation import EvaluationSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member, members


class EvaluationInputs(NamedTuple, Generic[Member]):
    """The scores of every host by tag; `start` is the evaluation that training began with.

    `likelihood` is empty for a pair behind a URL, which gives no loss of a text.
    """

    scored: Mapping[str, Member]
    likelihood: Mapping[str, Member]
    methods: Member
    passages: Member
    start: Member | None


def evaluation_stage(
    spec: EvaluationSpec, inputs: EvaluationInputs[Stage], labels: Sequence[str]
) -> Stage:
    """The numbers and gates of all hosts together."""
    return Stage(
        kind="evaluation",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=9,
        seals=True,
    )


def run(
    spec: EvaluationSpec, inputs: EvaluationInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Join the hosts' rows, check where they come from, make the numbers, judge them."""
    from interlingua.probes.methods import METHODS_NAME, read_methods
    from interlingua.report.from_rows import numbers_of, store_start
    from interlingua.report.gates.gates import failed, gates_of
    from interlingua.report.numbers import NUMBERS_NAME, write_numbers
    from interlingua.stages.evaluation import joining
    from interlingua.stages.evaluation.unseen import check_unseen, num_unknown
    from interlingua.store.rows.scored import read_scored
    from interlingua.store.rows.splits import recorded_access

    by_host = [read_scored(artifact.path) for artifact in inputs.scored.values()]
    scored = {passage_id for rows in by_host for passage_id in rows["passage_id"].tolist()}
    upstream = members(inputs).values()
    # Before any number is made. The root is two folders up: <root>/evaluation/<this stage>.
    num_checked = check_unseen(scored, spec.split, upstream, out.parent.parent)
    with recorded_access({spec.split}, out) as access:
        passages = joining.evaluated_passages(scored, spec.split, inputs.passages, access)
    # Passages of all scored rows are checked, then rows are cut to what every host has.
    rows = joining.shared_rows(by_host)
    joining.store(out, rows, passages, spec.host_tags)
    recorded = joining.with_likelihood(out, rows, inputs.likelihood.values())
    start = store_start(out, inputs.start.path) if inputs.start else None
    numbers = numbers_of(recorded, seed=spec.seed, start=start)
    write_numbers(out / NUMBERS_NAME, numbers)
    shutil.copyfile(inputs.methods.path / METHODS_NAME, out / METHODS_NAME)
    counts = [artifact.record.metrics for artifact in inputs.scored.values()]
    checked = joining.Checked(num_checked, num_unknown(upstream, out.parent.parent))
    compared = joining.Compared(start, read_methods(out / METHODS_NAME))
    gates = gates_of(joining.evidence(rows, numbers, compared, counts, checked), spec.accepts)
    return {
        "split": spec.split.value,
        **joining.sizes(recorded),
        "num_artifacts_checked": num_checked,
        "gates": [joining.recorded(gate) for gate in gates],
        "failed_gates": failed(gates),
        **joining.headlines(numbers),
    }
