"""An evaluated passage that anything upstream has seen ends the evaluation, whoever saw it and how.

Every artifact of the smallest recipe is forged in turn.
"""

import os
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.built import built_inputs
from tests.forging import publish_again

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.recipes.world import world_mini
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.unseen import check_unseen
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.store import record
from interlingua.store.artifact import build, find
from interlingua.store.inputs import members
from interlingua.store.rows.scored import read_scored
from interlingua.store.rows.splits import LEDGER_NAME, LEDGER_SCHEMA, SplitViolation, read_consumed

pytestmark = pytest.mark.slow

RECIPE = world_mini()
STAGES = {stage.name: stage for stage in graph_of(RECIPE)}
EVALUATION, SCORED = STAGES["evaluation/world_mini"], STAGES["scored/toy-gpt2-medium"]
CONTEXT = local_context(RECIPE.placement)
# Nothing goes into them: they make the passages.
SEES_NOTHING = {"passages/world"}
# What reads the split in order to evaluate it.
READERS = ("reconstructed/", "nearest/", "likelihood/", "methods/", "scored/")
ONE_A_KIND = sorted({name.split("/")[0]: name for name in sorted(STAGES)}.values())


def upstream(stage):
    """The names of all stages that this one needs."""
    return {up.name for up in stage.upstream.values()}.union(
        *(upstream(up) for up in stage.upstream.values())
    )


VICTIMS = sorted(upstream(EVALUATION) - SEES_NOTHING)
KINDS = [name for name in ONE_A_KIND if name in VICTIMS]


@pytest.fixture
def root(mini_nla_root, tmp_path):
    """A run root of the test's own, in which nothing is evaluated yet."""
    skipped = shutil.ignore_patterns("evaluation", "report", "*.lock")
    shutil.copytree(
        mini_nla_root, tmp_path / "root", copy_function=os.link, ignore=skipped, symlinks=True
    )
    return tmp_path / "root"


@pytest.fixture
def evaluated(root):
    """The passages that every host's rows are about."""
    return frozenset(read_scored(find(SCORED, root).path)["passage_id"].tolist())


def ledger(name, root):
    return find(STAGES[name], root).path / LEDGER_NAME


def forge(name, root, identity, split):
    """Have the artifact say that it consumed this passage as one of that split."""
    path = ledger(name, root)
    consumed = read_consumed(path) if path.exists() else {}
    consumed.setdefault(split, set()).add(identity)
    rows = [{"passage_id": i, "split": s.value} for s, ids in consumed.items() for i in ids]
    path.unlink(missing_ok=True)  # a link to the session's own
    pq.write_table(pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA), path)
    publish_again(path.parent)


def check(stage, root, evaluated, split=Split.TEST):
    inputs = members(built_inputs(stage, root)).values()
    return check_unseen(evaluated, split, inputs, root)


def refused_by(victim, root, said):
    """Both stages that look are built anew, and refuse."""
    if victim in upstream(EVALUATION):
        with pytest.raises(SplitViolation, match=said):
            build(EVALUATION, root, CONTEXT)
        assert find(EVALUATION, root) is None
    if victim in upstream(SCORED):
        shutil.rmtree(find(SCORED, root).path)
        with pytest.raises(SplitViolation, match=said):
            build(SCORED, root, CONTEXT)
        assert find(SCORED, root) is None


def test_there_is_something_of_every_kind_to_forge():
    kinds = {name.split("/")[0] for name in VICTIMS}
    assert kinds >= {
        "host", "activations", "encoder", "explanations", "av", "ar", "verbalized", "decoder",
        "reconstructed", "scored",
    }  # fmt: skip
    assert len(VICTIMS) > 30 and upstream(SCORED) < upstream(EVALUATION)


@pytest.mark.parametrize("victim", VICTIMS)
def test_one_evaluated_passage_in_one_ledger_is_refused(victim, root, evaluated):
    identity = min(evaluated)
    forge(victim, root, identity, Split.FIT)
    refused_by(victim, root, f"{victim} consumed 1 of the {len(evaluated)} .*the first {identity}")


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_lost_ledger_is_refused(victim, root):
    folder = find(STAGES[victim], root).path
    (folder / LEDGER_NAME).unlink()
    publish_again(folder)
    refused_by(victim, root, f"{folder} does not say which passages it consumed")


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("victim", KINDS)
def test_no_name_of_a_split_makes_it_unseen(victim, split, root, evaluated):
    """Also as `test` itself, of all that does not read it for the evaluation."""
    is_reader = victim.startswith(READERS) or victim.endswith("-test")
    forge(victim, root, max(evaluated), split)
    if split == Split.TEST and is_reader:
        assert check(EVALUATION, root, evaluated) > 30
        return
    with pytest.raises(SplitViolation, match=f"{victim} consumed 1 of .*as {split}"):
        check(EVALUATION, root, evaluated)


def test_the_passages_themselves_may_be_read_but_not_trained_on(root, evaluated):
    assert not ledger("passages/world", root).exists()
    checked = check(EVALUATION, root, evaluated)
    assert checked == len(VICTIMS)
    forge("passages/world", root, min(evaluated), Split.PRETRAIN)
    with pytest.raises(SplitViolation, match="passages/world consumed 1 of"):
        check(EVALUATION, root, evaluated)


def test_seeing_what_is_not_evaluated_is_no_fault(root, evaluated):
    """Of the split more was read than is evaluated; a leak is of what is."""
    everything = read_consumed(ledger("activations/toy-gpt2-medium-test", root))[Split.TEST]
    other = min(everything - evaluated)
    forge("av/sft", root, other, Split.AV_SFT)
    assert check(EVALUATION, root, evaluated) > 30


@pytest.mark.parametrize(
    ("splits", "is_reader"), [(["test"], True), (["fit", "test"], False), (["dev"], False)]
)
def test_only_what_reads_this_split_alone_is_a_reader(
    splits, is_reader, root, evaluated, monkeypatch
):
    artifact = find(STAGES["explanations/teacher-test"], root)
    publish_again(artifact.path, spec={**artifact.record.spec, "splits": splits})
    # Another spec has another fingerprint; what is tested here is who looks at its words.
    monkeypatch.setattr(record, "_check_fingerprint", lambda *_: None)
    if is_reader:
        assert check(EVALUATION, root, evaluated) == len(VICTIMS)
        return
    with pytest.raises(SplitViolation, match="explanations/teacher-test consumed .*as test"):
        check(EVALUATION, root, evaluated)


def of_dev(root):
    return frozenset(read_consumed(ledger("activations/toy-gpt2-medium-dev", root))[Split.DEV])


def test_on_dev_having_chosen_by_it_is_no_fault_and_on_test_it_is(root, evaluated):
    assert Split.DEV in read_consumed(ledger("av/sft", root))
    assert check(EVALUATION, root, of_dev(root), Split.DEV) > 30
    forge("av/sft", root, min(evaluated), Split.DEV)
    with pytest.raises(SplitViolation, match="av/sft consumed 1 of .*as dev"):
        check(EVALUATION, root, evaluated)


@pytest.mark.parametrize("split", [split for split in Split if split != Split.DEV])
@pytest.mark.parametrize("victim", KINDS)
def test_on_dev_having_learned_from_it_is_a_fault(victim, split, root):
    forge(victim, root, min(of_dev(root)), split)
    with pytest.raises(SplitViolation, match=f"{victim} consumed 1 of .*as {split}"):
        check(EVALUATION, root, of_dev(root), Split.DEV)


def test_an_evaluation_of_dev_is_built_like_one_of_test(root):
    recipe = replace(RECIPE, evaluation=replace(RECIPE.evaluation, split=Split.DEV))
    stages = needed_for("evaluation", graph_of(recipe))
    with ConsoleWatcher(root, stages) as watcher:
        LocalBackend().build_all(stages, root, CONTEXT, watcher)
    made = find(stages[-1], root)
    rows = read_scored(made.path)
    assert set(rows["split"].tolist()) == {"dev"}
    assert set(rows["passage_id"].tolist()) <= of_dev(root)
    assert made.record.metrics["split"] == "dev"


def test_rows_that_name_the_split_wrongly_are_refused(root):
    """Passages of `fit` under the name of `test`, in a file that nobody's ledger knows."""
    folder = find(SCORED, root).path
    path = folder / "rows" / "toy-gpt2-medium.parquet"
    table = pq.read_table(path)
    ids = table["passage_id"].to_pylist()
    renamed = pa.array(["f" * 16 if i == min(ids) else i for i in ids])
    path.unlink()
    place = table.schema.get_field_index("passage_id")
    pq.write_table(table.set_column(place, "passage_id", renamed), path)
    publish_again(folder)
    with pytest.raises(SplitViolation, match=f"1 of the 17 .* none of test, the first {'f' * 16}"):
        build(EVALUATION, root, CONTEXT)
