"""The evaluation between steps: the pair's FVE on fixed rows of `dev`, and signs of collapse.

Samples at temperature 1: greedy texts may rightly repeat where few facts are worth their words. The
random numbers are the same every time, so that evaluations are paired. Knows no step and no weight.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from interlingua.core.collapse import score_texts, similarity
from interlingua.core.geometry import nmse, unit
from interlingua.core.metrics import shuffled_fve_centred
from interlingua.core.policy import group_deviation, kl_terms, rewarded
from interlingua.core.resampling import Draws
from interlingua.core.truth import ALL_KINDS, fact_counts
from interlingua.sources.source import nameable
from interlingua.specs.rl import RlSpec, RlWatch
from interlingua.stages.rl.roles import Asked, Corpus, Judgement, KnownFacts, Roles, Rollouts

Columns = dict[str, list[Any]]


class DevEval(NamedTuple):
    """One row a sample, and the numbers over all of them; of `score` less is better."""

    columns: Columns
    numbers: dict[str, float]


def evaluated_on_dev(roles: Roles, corpus: Corpus, spec: RlSpec) -> DevEval:
    """The evaluation of the pair as it is now on the rows of `dev`."""
    columns: Columns = {}
    by_host: list[dict[str, float]] = []
    for asked in corpus.dev:
        rollouts = roles.av.sample(asked, num_samples=spec.watch.dev_samples, seed=spec.watch.seed)
        judged = roles.judge(rollouts)
        variance = corpus.variances[asked.host_tag]
        own = _columns(asked, rollouts, judged, roles.av.explanations(rollouts))
        rewards_N = rewarded(
            judged.a_NE, rollouts.v_BE, rollouts.num_tokens_N, spec=spec, variance=variance
        ).rewards_N
        own["reward"] = rewards_N.tolist()
        by_host.append(
            {
                **_of_host(own, rollouts, judged, spec.watch.seed),
                "group_deviation": group_deviation(rewards_N, spec.watch.dev_samples),
            }
        )
        columns = {name: [*columns.get(name, ()), *values] for name, values in own.items()}
    # Every host counts the same, however many rows it has.
    means = {name: float(np.mean([host[name] for host in by_host])) for name in by_host[0]}
    numbers = {**means, **_over_tokens(columns), **_facts(columns, corpus.known)}
    return DevEval(columns, {"score": -means["fve_centred_own"], **numbers})


def failed_gate(
    numbers: Mapping[str, float], start: Mapping[str, float], watch: RlWatch
) -> str | None:
    """The gate that an evaluation does not pass beside that of the start; None: it passes all."""
    gates = watch.gates
    if gates is None:
        return None
    # The sign is 1 where the limit is a floor, -1 where it is a ceiling.
    limits = {
        "unique_share": (gates.least_unique_share * start["unique_share"], 1),
        "distinct_word_share": (gates.least_distinct_words * start["distinct_word_share"], 1),
        "tag_failure_share": (start["tag_failure_share"] + gates.most_added_failures, -1),
    }
    if start["similarity_gap"] > 0:  # a start without a gap has none to lose
        limits["similarity_gap"] = (gates.least_gap_share * start["similarity_gap"], 1)
    for name, (limit, sign) in limits.items():
        if not sign * numbers[name] >= sign * limit:  # nor does NaN pass
            side = "below" if sign > 0 else "above"
            return f"{name} is {numbers[name]:.4f}, {side} its gate at {limit:.4f}"
    return None


def kl_sums(rollouts: Rollouts, reference_NT: np.ndarray) -> np.ndarray:
    """[N]: the estimated KL from the start's distribution over a whole sample, in nats."""
    # Copies: what came from another process may be read-only.
    terms_NT = kl_terms(torch.tensor(rollouts.log_probs_NT), torch.tensor(reference_NT))
    sums_N: np.ndarray = np.where(rollouts.mask_NT, terms_NT.double().numpy(), 0).sum(axis=1)
    return sums_N


def _columns(
    asked: Asked, rollouts: Rollouts, judged: Judgement, explanations: Sequence[str | None]
) -> Columns:
    group_size = rollouts.group_size
    unit_BE = unit(rollouts.v_BE)
    # About the mean of these very rows: predicting that mean is an FVE of 0.
    variance_N = np.repeat(((unit_BE - unit_BE.mean(axis=0)) ** 2).sum(axis=1), group_size)
    is_explanation_N = np.isfinite(judged.a_NE).all(axis=1)
    # A failed sample rebuilds nothing and gets the error of the mean, which is the variance.
    nmse_N = variance_N.copy()
    nmse_N[is_explanation_N] = nmse(
        judged.a_NE[is_explanation_N], rollouts.own_v_NE[is_explanation_N]
    )
    keys = [key for key in asked.keys for _ in range(group_size)]
    return {
        "host": [asked.host_tag] * len(keys),
        "passage_id": [passage_id for passage_id, _ in keys],
        "position": [position for _, position in keys],
        "sample": [place % group_size for place in range(len(keys))],
        "explanation": list(explanations),
        # Of failed samples, too: they are drawn, and have a KL, like all others.
        "num_tokens": rollouts.num_tokens_N.tolist(),
        "log_prob": rollouts.log_probs_NT.sum(axis=1, dtype=np.float64).tolist(),
        "kl": kl_sums(rollouts, judged.reference_NT).tolist(),
        "nmse": nmse_N.tolist(),
        "own_variance": variance_N.tolist(),
    }


def _of_host(own: Columns, rollouts: Rollouts, judged: Judgement, seed: int) -> dict[str, float]:
    passages_N = np.array(own["passage_id"])
    texts = score_texts(own["explanation"], passages_N)
    is_explanation_N = np.isfinite(judged.a_NE).all(axis=1)
    shuffled = 0.0  # all samples failed: the mean for every row
    if is_explanation_N.any():
        shuffled = shuffled_fve_centred(judged.a_NE[is_explanation_N], rollouts.v_BE)
    return {
        "fve_centred_own": 1 - sum(own["nmse"]) / sum(own["own_variance"]),
        "shuffled_fve_centred_own": shuffled,
        "tag_failure_share": float(texts.is_failed.mean()),
        # Of the texts that could be read: failures have a share of their own.
        "unique_share": float(texts.uniqueness.sum() / max(1, texts.is_read.sum())),
        "distinct_word_share": float(
            texts.num_distinct_words.sum() / max(1, texts.num_words.sum())
        ),
        "similarity_gap": _similarity_gap(own, seed),
        "reward": float(np.mean(own["reward"])),
    }


def _similarity_gap(own: Columns, seed: int) -> float:
    """The mean similarity of two texts of one activation, less that of texts of two passages.

    Near 0 the texts no longer depend on the vector. 0, too, where too few texts could be read.
    """
    texts: dict[str, list[str]] = {}
    rows = zip(own["passage_id"], own["position"], own["explanation"], strict=True)
    for passage_id, position, text in rows:
        texts.setdefault(f"{passage_id}|{position}", []).extend([text] if text else [])
    pairs = {key: said[:2] for key, said in texts.items() if len(said) > 1}
    passages_N = np.array([key.split("|")[0] for key in pairs])
    if len(set(passages_N)) < 2:
        return 0.0
    # One draw: the value is wanted, and no interval.
    draws = Draws.of(passages_N, seed=seed, num_draws=1)
    left, right = (tuple(said) for said in zip(*pairs.values(), strict=True))
    return similarity(left, right, passages_N, draws).gap.value


def _over_tokens(columns: Columns) -> dict[str, float]:
    # Over all hosts' tokens together, unlike the means above: a long text has more of them.
    num_samples, num_tokens = len(columns["num_tokens"]), sum(columns["num_tokens"])
    return {
        "kl_per_token": sum(columns["kl"]) / num_tokens,
        "kl_per_text": sum(columns["kl"]) / num_samples,
        # The mean surprise of what was drawn: entropy, without another forward.
        "entropy_per_token": -sum(columns["log_prob"]) / num_tokens,
        "mean_tokens": num_tokens / num_samples,
    }


def _facts(columns: Columns, known: KnownFacts | None) -> dict[str, float]:
    """The share of texts that name each kind of fact, and the share of those facts that hold."""
    if known is None:
        return {}
    kinds = tuple(known.truth.values)
    assertions = [known.truth.asserted(text or "") for text in columns["explanation"]]
    said = [set(one.facts) for one in assertions]
    true = [
        set(nameable(known.truth, known.by_key[key]).items())
        for key in zip(columns["passage_id"], columns["position"], strict=True)
    ]
    counts = fact_counts(said, true)
    numbers = {f"said_{kind}": float((counts[kind].num_said > 0).mean()) for kind in kinds}
    for kind in (ALL_KINDS, *kinds):
        # A kind that no text names has no precision: it is left out, not counted as 0.
        if num_said := counts[kind].num_said.sum():
            numbers[f"precision_{kind}"] = float(counts[kind].num_both.sum() / num_said)
    num_clauses = sum(one.num_clauses for one in assertions)
    numbers["worded_share"] = sum(one.num_known_clauses for one in assertions) / max(1, num_clauses)
    total = counts[ALL_KINDS]
    numbers["facts_per_text"] = float(total.num_said.mean())
    numbers["true_facts_per_text"] = float(total.num_both.mean())
    return numbers
