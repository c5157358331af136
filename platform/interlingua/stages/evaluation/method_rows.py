"""The numbers of one host under published ways to fit a decoder and to score it.

h is a raw activation [D], n(h) the same at the norm sqrt(D), v [E] its vector in the shared space,
a [E] the AR's vector of an explanation.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from interlingua.core.collapse import collapse_drawn, score_texts
from interlingua.core.geometry import rescale
from interlingua.core.resampling import Drawn, Draws
from interlingua.probes.decoder_fits import FitRows
from interlingua.probes.methods import (
    DOCUMENTS,
    PASSAGES,
    UNIQUE_SHARE,
    Key,
    MethodNumber,
    MethodPredictor,
    ScoredRows,
    means_over_hosts,
    methods_drawn,
)
from interlingua.specs.evaluation import MethodsSpec, Predictor
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.inputs import MethodsInputs
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rows.keyed import opened_rows
from interlingua.store.artifact import Artifact
from interlingua.store.maps import read_decoder, read_encoder
from interlingua.store.rows.passages import PASSAGES_NAME, documents_of
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Rebuilt, read_verbalized


def compared_methods(
    texts: Mapping[str, Rebuilt],
    spec: MethodsSpec,
    inputs: MethodsInputs[Artifact],
    access: SplitAccess,
) -> list[MethodNumber]:
    """Every number of all hosts, as means over them; `texts` are one of every row, by host."""
    documents = [
        documents_of_rows(said, spec.split, inputs.passages, access) for said in texts.values()
    ]
    # One draw of documents for all hosts, methods and FVEs: every difference is paired.
    draws = Draws.of(np.concatenate(documents), seed=spec.seed)
    by_host = {
        tag: drawn_methods(tag, said, draws, spec, inputs, access) for tag, said in texts.items()
    }
    num_passages = len({passage_id for said in texts.values() for passage_id, _ in said.keys})
    covers = PASSAGES if len(draws.units_U) == num_passages else DOCUMENTS
    return means_over_hosts(by_host, covers=covers)


def drawn_methods(
    tag: str,
    said: Rebuilt,
    draws: Draws,
    spec: MethodsSpec,
    inputs: MethodsInputs[Artifact],
    access: SplitAccess,
) -> Mapping[Key, Drawn]:
    """Every decoder fit, predictor and kind of FVE of one host, in the draws of all."""
    rows = opened_rows(inputs.hosts[tag].rows, [spec.split], access)
    documents_N = documents_of_rows(said, spec.split, inputs.passages, access)
    n_ND = rescale(rows.vectors(said.keys))
    scored = ScoredRows(a_NE=said.a_NE, n_ND=n_ND, passages_N=documents_N)
    texts: dict[MethodPredictor, list[str | None]] = {
        MethodPredictor.NLA: [row.explanation for row in said.rows],
        # One text for every row: an FVE need not show this collapse, the share of distinct texts
        # does.
        MethodPredictor.COLLAPSED_AV: ["one and the same"] * len(said.rows),
    }
    unique_shares = {
        predictor: collapse_drawn(score_texts(own, documents_N)._asdict(), documents_N, draws)[
            UNIQUE_SHARE
        ]
        for predictor, own in texts.items()
        # Without any explanation there is no share of distinct ones.
        if any(own)
    }
    fit = _fit_rows(tag, spec, inputs, access)
    return methods_drawn(
        fit,
        scored,
        draws,
        ridge=spec.ridge,
        unique_shares=unique_shares,
        seed=spec.seed,
        used=read_decoder(inputs.hosts[tag].decoder.path),
    )


def _fit_rows(
    tag: str,
    spec: MethodsSpec,
    inputs: MethodsInputs[Artifact],
    access: SplitAccess,
) -> FitRows:
    hosts = inputs.hosts
    host = hosts[tag]
    said = read_verbalized(host.fit_texts.path, Split.FIT, Predictor.SAMPLED, access)
    h_ND = opened_rows(host.fit, [Split.FIT], access).vectors(said.keys)
    encoders = {name: hosts[name].encoder for name in dict.fromkeys((spec.anchor, tag))}
    space = opened_space(encoders, anchor=spec.anchor, centring=spec.centring)
    return FitRows(
        a_NE=said.a_NE,
        n_ND=rescale(h_ND),
        # Made in fp32, as the AV reads it; moments and solves are fp64.
        v_NE=space.v_of(tag, h_ND).astype(np.float64),
        passages_N=documents_of_rows(said, Split.FIT, inputs.passages, access),
        encoder=read_encoder(host.encoder.path),
    )


def first_texts(texts: Artifact, split: Split, access: SplitAccess) -> Rebuilt:
    """The first T=1 text of every activation, with its vector."""
    said = read_verbalized(texts.path, split, Predictor.SAMPLED, access)
    places = [place for place, row in enumerate(said.rows) if row.sample == 0]
    keys: Sequence = [said.keys[place] for place in places]
    return Rebuilt(list(keys), [said.rows[place] for place in places], said.a_NE[places])


def documents_of_rows(
    said: Rebuilt, split: Split, passages: Artifact, access: SplitAccess
) -> np.ndarray:
    """The document of every row, within which rows are not independent."""
    ids = [passage_id for passage_id, _ in said.keys]
    documents = documents_of(passages.path / PASSAGES_NAME, ids, split, access)
    return np.array([documents[passage_id] for passage_id in ids])
