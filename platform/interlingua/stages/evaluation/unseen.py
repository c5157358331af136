"""A check that nothing evaluated was seen before: by training, a fit, or a choice of models.

Every artifact upstream says which passages it consumed. Only those whose spec names the evaluated
split, and no other, may have consumed evaluated ones, and only as that split: they read it for the
evaluation. Knows no model.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.splits import Split
from interlingua.stages.nla.served import SERVED
from interlingua.store.artifact import Artifact, with_upstream
from interlingua.store.rows.splits import LEDGER_NAME, SplitViolation, read_consumed

# What no passage goes into, or what makes the passages.
WITHOUT_LEDGER = ("passages", "adopted", "fetched", "bundle", SERVED)


def check_unseen(
    evaluated: Collection[str], split: Split, inputs: Iterable[Artifact], root: Path
) -> int:
    """Raise SplitViolation where anything upstream has seen an evaluated passage.

    Returns how many artifacts said what they consumed. On `dev`, having chosen checkpoints by it
    is no fault: it is what `dev` is for, and the reason why headlines are of `test`.
    """
    evaluated = frozenset(evaluated)
    num_checked = 0
    for artifact in with_upstream(inputs, root):
        record = artifact.record
        path = artifact.path / LEDGER_NAME
        # A missing ledger proves nothing: the few kinds that may lack one are named.
        if not path.exists():
            if record.kind in WITHOUT_LEDGER:
                continue
            raise SplitViolation(f"{artifact.path} does not say which passages it consumed")
        num_checked += 1
        for seen_as, ids in read_consumed(path).items():
            if seen_as == split and (split == Split.DEV or _reads(record.spec, split)):
                continue
            if both := evaluated & ids:
                raise SplitViolation(
                    f"{record.kind}/{record.label} consumed {len(both)} of the {len(evaluated)} "
                    f"evaluated passages (as {seen_as}), the first {min(both)}: a number made "
                    f"from them would not say what is new to the model. Its ledger: {path}"
                )
    return num_checked


def num_unknown(inputs: Iterable[Artifact], root: Path) -> int:
    """How many pairs upstream come from a server, without a word about what they learned from."""
    upstream = [artifact.record for artifact in with_upstream(inputs, root)]
    return sum(record.kind == SERVED and not record.inputs for record in upstream)


def _reads(spec: Mapping[str, Any], split: Split) -> bool:
    """True where the spec names the split, and no other, as what is read."""
    return set(_splits(spec)) == {split.value}


def _splits(spec: Any) -> Iterator[str]:
    # By the fields' names wherever they stand: a recorded spec is nested JSON.
    if isinstance(spec, Mapping):
        for name, value in spec.items():
            if name == "split" and isinstance(value, str):
                yield value
            elif name == "splits":
                yield from value
            else:
                yield from _splits(value)
    elif isinstance(spec, list | tuple):
        for item in spec:
            yield from _splits(item)
