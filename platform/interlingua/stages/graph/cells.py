"""The stages of one cell of a sweep: a recipe up to the rows that its AV is compared by."""

from interlingua.specs.cells import CellSpec
from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import Turn
from interlingua.specs.recipe import Recipe
from interlingua.stages.evaluation.cell import CELL, cell_stage
from interlingua.stages.evaluation.inputs import CellHost, CellInputs
from interlingua.stages.graph.evaluation import unseen_of
from interlingua.stages.graph.nla import Pair, verbalized_by
from interlingua.stages.graph.order import begun, needed_for, nla_stages
from interlingua.stages.graph.rl import rl_rows, rl_stages
from interlingua.store.artifact import Stage


def cell_stages(recipe: Recipe, label: str) -> tuple[Stage, ...]:
    """The cell, last, and all that it needs, inputs first.

    A recipe with a run of reinforcement learning is measured behind it. The AR is the supervised
    one either way: one that learned beside the AV would be another judge in every cell.
    """
    if len(recipe.rl) > 1:
        raise ValueError(
            f"{recipe.name} has {len(recipe.rl)} runs of reinforcement learning; a cell has one "
            "at most: sweep over what they differ in"
        )
    passages, hosts, rows, encoders, learning = begun(recipe)
    _, maps = nla_stages(recipe, learning, hosts, rows, encoders)
    models, split = maps.pair.trained, recipe.evaluation.split
    phase = maps.pair.phase
    for run in recipe.rl:
        learned, _ = rl_stages(recipe, run, maps, hosts, rows, rl_rows(recipe, hosts, passages))
        models, phase = models._replace(av=learned[0]), run.tag
    pair = Pair(models, phase)
    unseen = unseen_of(recipe, hosts, passages)
    turn = Turn(
        predictor=Predictor.SAMPLED,
        split=split,
        sampling=recipe.speaking.sampled(recipe.evaluation.samples),
        rows=recipe.evaluation.rows,
    )
    of_hosts = {
        tag: CellHost(
            unseen.rows[tag],
            verbalized_by(recipe, pair, {split: unseen.rows[tag]}, maps.encoders, turns=(turn,)),
            maps.encoders[tag],
        )
        for tag in recipe.mapped_tags()
    }
    inputs = CellInputs(models, unseen.explanations, of_hosts)
    return needed_for(CELL, [cell_stage(_cell_spec(recipe), inputs, label)])


def _cell_spec(recipe: Recipe) -> CellSpec:
    return CellSpec(
        split=recipe.evaluation.split,
        anchor=recipe.anchor,
        centring=recipe.av.injection.centring,
        host_tags=recipe.learning_tags(),
        seed=recipe.speaking.seed,
    )
