"""A head over tokens for a frozen AV: `python -m tests.full.positions ROOT` prints what came out.

The pair is `world_sound`'s, but for passages read as means; of the same passages all tokens are
read, up to 128, of the trained and of the held-out host. Heads are trained on rows of `av_sft` and
compared with the linear encoders on rows of `test`, by the teacher's texts.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.core.geometry import has_direction
from interlingua.models.pair.prompts import IGNORED, response_ids, right_padded
from interlingua.models.sampling.batched import BatchReconstructor, BatchVerbalizer
from interlingua.probes.position_head import (
    HeadTraining,
    compared,
    cross_host,
    towards,
    trained_head,
)
from interlingua.recipes.failures import world_sound
from interlingua.specs.extraction import Pooled, TokenPositions
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.stages.graph.hosts import rows_stage
from interlingua.stages.graph.order import graph_of, joined, needed_for
from interlingua.stages.maps.space import opened_space
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.nla.pair import opened_reconstructor_of, opened_verbalizer
from interlingua.stages.rows.keyed import opened_rows
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.store.artifact import Artifact, Stage, find
from interlingua.store.maps import read_encoder
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.splits import SplitAccess

TRAINED, HELD_OUT = "toy-gpt2-medium", "toy-pythia-410m"
SAME_TOKENS = "linear, of the same tokens"
LINEAR, TOWARDS, THROUGH = "linear", "head towards shared vectors", "head through the frozen AV"
TOKENS = TokenPositions(per_passage=128, min_position=1, seed=0)
LEARNED = (Split.AV_SFT, Split.AR_SFT)


def pooled(recipe: Recipe) -> Recipe:
    """The recipe with passages read as means over all their tokens."""
    return replace(recipe, name="world_sound_pooled", read=Pooled(include_first=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A host's rows of one split: tokens, means of passages, and one text of the teacher each."""

    passages_N: np.ndarray
    h_NPD: np.ndarray
    mean_ND: np.ndarray
    texts: list[str]

    @classmethod
    def of(cls, tokens: Artifact, means: Artifact, texts: Artifact, split: Split) -> "Rows":
        """The passages that have all three, up to so many tokens of each."""
        access = SplitAccess({split})
        explained = read_explanations(texts.path, {split}, access)
        at, over = (opened_rows(one, [split], access) for one in (tokens, means))
        places: dict[str, list] = {}
        for key in at.finite_keys():
            places.setdefault(key[0], []).append(key)
        keys = [k for k in over.finite_keys() if k in explained and k[0] in places]
        h_NPD = np.full((len(keys), TOKENS.per_passage, at.width), np.nan, np.float32)
        for row, (passage_id, _) in enumerate(keys):
            own = places[passage_id]
            h_NPD[row, : len(own)] = at.vectors(own)
        mean_ND = over.vectors(keys)
        assert has_direction(mean_ND).all()
        return cls(
            passages_N=np.array([key[0] for key in keys]),
            h_NPD=h_NPD,
            mean_ND=mean_ND,
            texts=[explained[key][0] for key in keys],
        )


class Found:
    """The artifacts of the pair in a root, with the rows of tokens beside them."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.recipe, self._root = recipe, root
        graph = graph_of(recipe)
        self.stages = joined([needed_for(kind, graph) for kind in ("av", "ar", "encoder")])
        by_token = replace(recipe, read=TOKENS)
        hosts = {s.label: s for s in self.stages if s.kind == "host"}
        [passages] = [s for s in self.stages if s.kind == "passages"]
        self._tokens = {
            (tag, splits): rows_stage(by_token, tag, hosts[tag], passages, splits)
            for tag in (TRAINED, HELD_OUT)
            for splits in (LEARNED, (Split.TEST,))
        }
        self._means = {
            (tag, splits): rows_stage(recipe, tag, hosts[tag], passages, splits)
            for tag in (recipe.anchor, TRAINED, HELD_OUT)
            for splits in (LEARNED, (Split.TEST,))
        }
        self._texts = {s.spec.splits[0]: s for s in graph if s.kind == "explanations"}
        self.all = joined([
            self.stages, [*self._tokens.values()], [*self._means.values()], [*self._texts.values()]
        ])  # fmt: skip

    def artifact(self, stage: Stage) -> Artifact:
        found = find(stage, self._root)
        assert found is not None, stage.name
        return found

    def one(self, kind: str, label: str) -> Artifact:
        return self.artifact(next(s for s in self.stages if (s.kind, s.label) == (kind, label)))

    def means(self, tag: str, passages_N: np.ndarray) -> np.ndarray:
        """The means of these passages of `av_sft`, as one host reads them."""
        artifact, split = self.artifact(self._means[tag, LEARNED]), Split.AV_SFT
        return opened_rows(artifact, [split], SplitAccess({split})).vectors(
            [(passage_id, -1) for passage_id in passages_N.tolist()]
        )

    def rows(self, tag: str, split: Split) -> Rows:
        splits = LEARNED if split in LEARNED else (split,)
        return Rows.of(
            self.artifact(self._tokens[tag, splits]),
            self.artifact(self._means[tag, splits]),
            self.artifact(self._texts[split]),
            split,
        )


def ways(found: Found, tag: str, av: BatchVerbalizer) -> Mapping[str, np.ndarray]:
    """The vectors of the rows of test, by each way of making them."""
    anchor = found.recipe.anchor
    encoders = {one: found.one("encoder", one) for one in (anchor, tag)}
    centring = found.recipe.av.injection.centring
    space = opened_space(encoders, anchor=anchor, centring=centring)
    learned, test = found.rows(tag, Split.AV_SFT), found.rows(tag, Split.TEST)
    mean_D = read_encoder(encoders[tag].path).mean_D
    ids = [response_ids(av._tokenizer, text) for text in learned.texts]
    av.verbalizer.requires_grad_(False)

    def through(rows_B: np.ndarray, v_BE: torch.Tensor) -> torch.Tensor:
        response_BT = right_padded([ids[row] for row in rows_B], IGNORED)
        nll_BT = av.verbalizer.nll(av.prompt(tag), v_BE, response_BT)
        return nll_BT.sum() / (response_BT != IGNORED).sum()

    # What the linear encoders are fitted to, too: the anchor's vectors of the same passages.
    shared_NE = space.v_of(anchor, found.means(anchor, learned.passages_N))
    losses = {TOWARDS: towards(shared_NE), THROUGH: through}
    heads = {
        name: trained_head(
            learned.h_NPD, mean_D, width=space.width, loss=loss, training=HeadTraining()
        )
        for name, loss in losses.items()
    }
    own = {name: head.v_of(test.h_NPD) for name, head in heads.items()}
    # What the encoder makes of the tokens that the heads are given: fewer than the passage has.
    seen_ND = np.nanmean(test.h_NPD, axis=1).astype(np.float32)
    linear = {LINEAR: space.v_of(tag, test.mean_ND), SAME_TOKENS: space.v_of(tag, seen_ND)}
    return {**linear, **own}


def outcome(root: Path, recipe: Recipe) -> dict:
    """Build what is missing, train the heads of both hosts, compare."""
    torch.set_num_threads(1)
    found = Found(root, recipe)
    with ConsoleWatcher(root, found.all) as watcher:
        LocalBackend().build_all(found.all, root, local_context(recipe.placement), watcher)
    labels = (("host", recipe.anchor), ("av", "sft"), ("ar", "sft"))
    models = PairInputs(*(found.one(*label) for label in labels))
    av = opened_verbalizer(models, device="cpu", batch_rows=512)
    ar = opened_reconstructor_of(models.trunk, models.ar, device="cpu", batch_rows=512)
    vectors = {tag: ways(found, tag, av) for tag in (TRAINED, HELD_OUT)}
    return {
        "hosts": {tag: read_by(found, tag, av, vectors[tag]) for tag in vectors},
        "across": across(found, av, ar, vectors),
    }


def read_by(found: Found, tag: str, av: BatchVerbalizer, vectors: Mapping[str, np.ndarray]) -> dict:
    """The loss of the teacher's texts under each way's vectors, and what each costs more."""
    test = found.rows(tag, Split.TEST)
    nlls = {n: av.nll(tag, torch.from_numpy(v_NE), test.texts) for n, v_NE in vectors.items()}
    tokens_N = nlls[LINEAR][1]
    costs = compared(
        {name: nll_N for name, (nll_N, _) in nlls.items()},
        tokens_N,
        test.passages_N,
        than=LINEAR,
    )
    return {
        "nll_per_token": {n: float(nll.sum() / tokens_N.sum()) for n, (nll, _) in nlls.items()},
        "less_linear": {name: asdict(one) for name, one in costs.items()},
    }


def across(
    found: Found,
    av: BatchVerbalizer,
    ar: BatchReconstructor,
    vectors: Mapping[str, Mapping[str, np.ndarray]],
) -> dict:
    """Cosines of the AR's vectors of both hosts' greedy texts of the same passages, by way."""
    passages = {tag: found.rows(tag, Split.TEST).passages_N.tolist() for tag in vectors}
    both = sorted(set.intersection(*map(set, passages.values())))
    cosines = {}
    for name in (LINEAR, SAME_TOKENS, TOWARDS, THROUGH):
        a = {}
        for tag, own in vectors.items():
            places = [passages[tag].index(one) for one in both]
            v_NE = torch.from_numpy(own[name][places])
            drawn = av.verbalize(tag, v_NE, both, found.recipe.speaking.greedy())
            a[tag] = ar.reconstruct([samples[0].explanation for samples in drawn])
        first_NE, second_NE = a.values()
        good_N = has_direction(first_NE) & has_direction(second_NE)
        one = cross_host(first_NE[good_N], second_NE[good_N], np.array(both)[good_N])
        cosines[name] = asdict(one)
    return cosines


if __name__ == "__main__":
    print(json.dumps(outcome(Path(sys.argv[1]), pooled(world_sound())), indent=2))
