"""The stages of an evaluation of a pair behind a URL: the recipe's rows, the server's texts."""

from interlingua.specs.generation import ServedSpec
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.evaluation import evaluation_stages, page_of, unseen_of
from interlingua.stages.graph.nla import Maps, Pair, fitted_decoders
from interlingua.stages.graph.order import begun, graph_of, needed_for
from interlingua.stages.nla.inputs import ServedPair
from interlingua.stages.nla.served import SERVED, ServedInputs, served_stage
from interlingua.store.artifact import Stage


def served_stages(recipe: Recipe, digest: str, bundle: Stage | None) -> tuple[Stage, ...]:
    """All that an evaluation of a served pair needs, inputs first; its page last.

    `bundle` is the recipe's own with that digest. Without it nobody knows what the pair learned
    from, and its encoders are those that the recipe begins with.
    """
    passages, hosts, rows, encoders, learning = begun(recipe)
    start: Stage | None = None
    if bundle is not None:
        encoders = {tag: own.encoder for tag, own in bundle.inputs.hosts.items()}
        start = evaluation_of(recipe, bundle).inputs.start
    served = served_stage(ServedSpec(digest=digest), ServedInputs(bundle), [recipe.name])
    pair = Pair(ServedPair(served), SERVED)
    verbalized, decoders = fitted_decoders(recipe, pair, rows, encoders)
    maps = Maps(pair, encoders, verbalized, decoders, {})
    unseen = unseen_of(recipe, hosts, passages)
    *_, evaluation = evaluation_stages(recipe, maps, unseen, learning, start)
    return needed_for("report", [page_of(recipe, [evaluation], [], [])])


def evaluation_of(recipe: Recipe, bundle: Stage) -> Stage:
    """The evaluation in this process of a bundle of the recipe."""
    graph = graph_of(recipe)
    bundles, evaluations = (
        [stage for stage in graph if stage.kind == kind] for kind in ("bundle", "evaluation")
    )
    # Both in the order in which the pairs were trained.
    return evaluations[[stage.key for stage in bundles].index(bundle.key)]
