"""Metrics of the rows of one host and predictor, in the draws of a table. Knows no file."""

from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np

from interlingua.core.collapse import collapse_ratios, score_texts, similarity
from interlingua.core.metrics import (
    explained,
    retrieval_ratios,
    row_share_ratios,
    unexplained_ratios,
)
from interlingua.core.resampling import Drawn, Draws, Ratio, combined
from interlingua.core.truth import ALL_KINDS, Fact, fact_counts, truth_ratios
from interlingua.report.numbers import NLL
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.likelihood import Likelihood
from interlingua.store.rows.scored import Scored

# The predictors whose texts the AV wrote, and the teacher's, which it learned from.
WITH_TEXT = (
    Predictor.SAMPLED,
    Predictor.GREEDY,
    Predictor.TEACHER,
    Predictor.SHUFFLED_VECTORS,
    Predictor.ZERO_VECTOR,
    Predictor.UNTRAINED,
)
# Of the teacher's explanations under the AV; by the vector that it is given, as predictors are.
PERPLEXITY = "perplexity"
GIVEN = {
    Predictor.SAMPLED: "nll_own",
    Predictor.SHUFFLED_VECTORS: "nll_shuffled",
    Predictor.ZERO_VECTOR: "nll_zero",
}
FACT_SEPARATOR = "="
SAID = "said"  # / kind of fact: the share of texts that name one, true or not
ALL_TRUE = "all_true_share"  # of the texts that name a fact: all that they name hold
SHUFFLED_NULL = "shuffled_fve_centred_own"


def measures_of(rows: Scored, draws: Draws) -> dict[str, Drawn]:
    """Every metric that these rows, of one host and predictor, have the columns for."""
    documents_N = rows.documents()
    # A column that a predictor has no numbers for is NaN. One bad row among good ones drops the
    # column as well, without an error here: the gate `non_finite` fails then.
    columns = {
        name: rows[name]
        for name in rows.columns
        if rows[name].dtype == np.float64 and np.isfinite(rows[name]).all()
    }
    lacking = unexplained_ratios(columns, documents_N)
    if {"shuffled_nmse", "own_variance"} <= columns.keys():
        null = {"nmse": columns["shuffled_nmse"], "own_variance": columns["own_variance"]}
        lacking[SHUFFLED_NULL] = unexplained_ratios(null, documents_N)["fve_centred_own"]
    shares = _row_ratios(rows, columns, documents_N)
    if rows["predictor"][0] in WITH_TEXT:
        of_read, of_texts = _text_ratios(rows, documents_N)
        lacking |= of_read
        shares |= of_texts
    # All of them in one product.
    drawn = draws.ratios(lacking | shares)
    return {name: explained(one) if name in lacking else one for name, one in drawn.items()}


def _row_ratios(
    rows: Scored, columns: Mapping[str, np.ndarray], documents_N: np.ndarray
) -> dict[str, Ratio]:
    """Means and shares of what is scored row by row."""
    ones_N = np.ones(len(rows))
    found = {
        name: Ratio(columns[name], ones_N, documents_N)
        for name in ("cos", "nmse")
        if name in columns
    }
    if {"nmse", "train_variance"} <= columns.keys():
        found |= row_share_ratios(columns, documents_N)
    # Integers that a predictor has none of are read as -1.
    if (rows["rank"] > 0).all():
        found |= retrieval_ratios(rows["rank"], documents_N)
    return found


def likelihoods_of(rows: Likelihood, draws: Draws) -> Iterator[tuple[str, str, Drawn]]:
    """NLL a token of the teacher's explanations and its perplexity, of one host, by what is given.

    Ratios of sums over tokens: a long text counts for more than a short one.
    """
    tokens_N, documents_N = rows["num_tokens"].astype(float), rows.documents()
    for predictor, column in GIVEN.items():
        nll = draws.ratio(Ratio(rows[column], tokens_N, documents_N))
        yield predictor, NLL, nll
        yield predictor, PERPLEXITY, combined(np.exp, nll)


def similarities_of(of_host: Scored, draws: Draws) -> Iterator[tuple[str, str, Drawn]]:
    """Similarity of the texts of one activation, beside that of texts of different documents.

    Two samples of the real vector; and one of the real with one of a shuffled vector.
    """
    spoken = of_host.where(of_host["predictor"] == Predictor.SAMPLED)
    others = {
        (Predictor.SAMPLED, ""): spoken.where(spoken["sample"] == 1),
        (Predictor.SHUFFLED_VECTORS, "real_"): of_host.where(
            of_host["predictor"] == Predictor.SHUFFLED_VECTORS
        ),
    }
    document = dict(zip(of_host["passage_id"].tolist(), of_host.documents().tolist(), strict=True))
    first = _texts(spoken.where(spoken["sample"] == 0))
    for (predictor, prefix), rows in others.items():
        second = _texts(rows)
        keys = [key for key in first if key in second]
        documents_N = np.array([document[passage_id] for passage_id, _ in keys])
        # Of one document alone there is no pair of different ones to compare with.
        if len(set(documents_N.tolist())) < 2:
            continue
        left, right = [first[key] for key in keys], [second[key] for key in keys]
        for name, one in similarity(left, right, documents_N, draws)._asdict().items():
            yield predictor, f"{prefix}similarity_{name}", one


def _texts(rows: Scored) -> dict[tuple[str, int], str]:
    columns = (rows[name].tolist() for name in ("passage_id", "position", "explanation"))
    return {(key, place): text for key, place, text in zip(*columns, strict=True) if text}


def _text_ratios(
    rows: Scored, documents_N: np.ndarray
) -> tuple[dict[str, Ratio], dict[str, Ratio]]:
    """What the rows that could be read lack to an FVE of 1, and everything that texts alone say."""
    columns = dict(score_texts(rows["explanation"].tolist(), documents_N)._asdict())
    if (rows["num_tokens"] >= 0).all():
        columns["num_tokens"] = rows["num_tokens"].astype(float)
    found = collapse_ratios(columns, documents_N)
    if all(facts is not None for facts in rows["true"]):
        found |= _truth_ratios(rows, documents_N)
    # A text that could not be parsed predicts nothing and has an NMSE of 2. How well the others do
    # is a number of its own; the variance stays about the mean vector of all rows.
    is_read_N = ~rows["is_failed"]
    read = {name: rows[name][is_read_N] for name in ("nmse", "own_variance")}
    is_scored = all(np.isfinite(column).all() for column in read.values())
    if not is_read_N.any() or is_read_N.all() or not is_scored:
        return {}, found
    lacking = unexplained_ratios(read, documents_N[is_read_N])["fve_centred_own"]
    return {"fve_centred_own_of_read": lacking}, found


def _fact(text: str) -> Fact:
    kind, value = text.split(FACT_SEPARATOR)
    return kind, value


def _truth_ratios(rows: Scored, documents_N: np.ndarray) -> dict[str, Ratio]:
    """Whether what the texts name holds, what they name at all, and in whose wordings."""
    facts = {fact: _fact(fact) for fact in set(chain(*rows["said"], *rows["true"]))}
    said, true = ([[facts[own] for own in row] for row in rows[name]] for name in ("said", "true"))
    counts, ones_N = fact_counts(said, true), np.ones(len(rows))
    found = truth_ratios(counts, documents_N)
    for kind, (num_said_N, _, _) in counts.items():
        found[f"{SAID}/{kind}"] = Ratio((num_said_N > 0).astype(float), ones_N, documents_N)
    of_all = counts[ALL_KINDS]
    names_any_N = (of_all.num_said > 0).astype(float)
    if names_any_N.any():
        is_true_N = names_any_N * (of_all.num_both == of_all.num_said)
        found[ALL_TRUE] = Ratio(is_true_N, names_any_N, documents_N)
    clauses_N = rows["num_clauses"].astype(float)
    # A ratio of sums over clauses: a long text counts for more than a short one.
    if clauses_N.min() >= 0 and clauses_N.any():
        worded_N = rows["num_worded"].astype(float)
        found["worded_share"] = Ratio(worded_N, clauses_N, documents_N)
    num_said_N = np.array([len(facts) for facts in said])
    found["facts_said"] = Ratio(num_said_N, ones_N, documents_N)
    return found
