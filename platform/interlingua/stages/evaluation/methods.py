"""Stage `methods`: the numbers of one NLA under published ways to fit a decoder and to score it.

Among the fits is the decoder that the recipe uses (`recipe`), and every fit is compared with the
ridge on the AV's own texts, row by row. Beside the NLA stand predictors that know nothing of an
activation: a number on which one of them does well measures something else. On the first T=1
explanation of every evaluated activation.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlingua.specs.evaluation import MethodsSpec
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.inputs import MethodsInputs
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import members


def methods_stage(spec: MethodsSpec, inputs: MethodsInputs[Stage], labels: Sequence[str]) -> Stage:
    """The comparison of published ways to fit and to score a decoder."""
    return Stage(
        kind="methods",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=5,
    )


def run(
    spec: MethodsSpec, inputs: MethodsInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Compare every decoder fit, predictor and kind of FVE, as means over hosts."""
    import torch

    from interlingua.probes.methods import METHODS_NAME, write_methods
    from interlingua.stages.evaluation.method_rows import compared_methods, first_texts
    from interlingua.stages.evaluation.unseen import check_unseen
    from interlingua.store.rows.splits import recorded_access

    torch.set_num_threads(context.placement.threads_per_worker)
    with recorded_access({Split.FIT, spec.split}, out) as access:
        texts = {
            tag: first_texts(host.texts, spec.split, access) for tag, host in inputs.hosts.items()
        }
        passages = {passage_id for first in texts.values() for passage_id, _ in first.keys}
        upstream = members(inputs).values()
        check_unseen(passages, spec.split, upstream, out.parent.parent)
        numbers = compared_methods(texts, spec, inputs, access)
    write_methods(out / METHODS_NAME, numbers)
    return {"num_hosts": len(texts), "num_numbers": len(numbers)}
