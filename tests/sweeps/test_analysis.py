"""Planted effects are found in the rows of cells, and our tests agree with another's."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from interlingua.core.contrasts import Contrast, effects
from interlingua.sweeps.analysis import Analysis, CellsUnlike, cells_of_score, check_alike
from interlingua.sweeps.tables import sentences, summary

SETTINGS = ("slots1-none", "slots1-full", "slots16-none", "slots16-full")
TRUE_NLL = dict(zip(SETTINGS, (1.43, 1.43, 1.41, 1.37), strict=True))
SEEDS = (0, 1, 2, 3, 4)
CONTRASTS = [
    Contrast(name="repetition", weights={"slots16-none": 1, "slots1-none": -1}),
    Contrast(name="affine at 16", weights={"slots16-full": 1, "slots16-none": -1}),
    Contrast(name="affine at 1", weights={"slots1-full": 1, "slots1-none": -1}),
]


def rows_of(true: float, rng, hard_N, tokens_N, passages_N) -> dict[str, np.ndarray]:
    """The rows of one training: its own level, and rows that are as hard in every cell."""
    level = true + 0.004 * rng.normal()
    nll_N = (level + hard_N + 0.02 * rng.normal(size=len(hard_N))) * tokens_N
    return {
        "host": np.full(len(hard_N), "host"),
        "passage_id": passages_N,
        "position": np.arange(len(hard_N)),
        "num_tokens": tokens_N,
        "nll_real": nll_N,
        "nll_shuffled": nll_N + tokens_N,
        "nll_zero": nll_N + tokens_N,
        "nmse": np.full(len(hard_N), 0.5),
        "own_variance": np.full(len(hard_N), 0.8),
        "top1": np.zeros(len(hard_N)),
        "unparsable": np.zeros(len(hard_N)),
    }


def planted(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    hard_N, tokens_N = 0.2 * rng.normal(size=300), rng.integers(8, 20, 300).astype(float)
    passages_N = np.repeat([f"p{n}" for n in range(150)], 2)
    return {
        (setting, s): rows_of(TRUE_NLL[setting], rng, hard_N, tokens_N, passages_N)
        for setting in SETTINGS
        for s in SEEDS
    }


def found_in(columns) -> dict:
    cells = cells_of_score("log_likelihood", SETTINGS, SEEDS, columns)
    return {effect.name: effect for effect in effects(CONTRASTS, cells, seed=0)}


def analysis_of(columns) -> Analysis:
    return Analysis(
        cells=(),
        num_rows=300,
        num_passages=150,
        seeds=SEEDS,
        compared=SETTINGS,
        means={},
        effects={"log_likelihood": tuple(found_in(columns).values())},
        commands=(),
    )


def test_planted_effects_are_found_with_their_sign_and_a_null_is_not():
    found = found_in(planted())
    assert found["repetition"].value == pytest.approx(0.02, abs=0.01)
    assert found["affine at 16"].value == pytest.approx(0.04, abs=0.01)
    assert found["affine at 16"].over_seeds.low > 0 and found["affine at 16"].adjusted_p < 0.05
    assert found["affine at 1"].adjusted_p > 0.05


def test_a_repeated_measures_anova_gives_our_p():
    """Of a factor with two levels F is the square of our t, whatever the other factor."""
    columns = planted(3)
    cells = cells_of_score("log_likelihood", SETTINGS, SEEDS, columns)
    scores_CS = cells.scores_CS()
    table = pd.DataFrame(
        [
            {
                "seed": s,
                "slots": setting.split("-")[0],
                "affine": setting.split("-")[1],
                "score": scores_CS[c, n],
            }
            for c, setting in enumerate(SETTINGS)
            for n, s in enumerate(SEEDS)
        ]
    )
    anova = AnovaRM(table, "score", "seed", within=["slots", "affine"]).fit().anova_table
    of_factor = {
        "slots": {"slots16-none": 1, "slots16-full": 1, "slots1-none": -1, "slots1-full": -1},
        "affine": {"slots16-full": 1, "slots1-full": 1, "slots16-none": -1, "slots1-none": -1},
        "slots:affine": {
            "slots16-full": 1, "slots16-none": -1, "slots1-full": -1, "slots1-none": 1,
        },
    }  # fmt: skip
    for factor, weights in of_factor.items():
        (effect,) = effects([Contrast(name=factor, weights=weights)], cells, seed=0)
        by_seed_S = np.array(effect.by_seed)
        t = by_seed_S.mean() / (by_seed_S.std(ddof=1) / np.sqrt(len(SEEDS)))
        assert t**2 == pytest.approx(anova.loc[factor, "F Value"])
        assert effect.p == pytest.approx(anova.loc[factor, "Pr > F"])


def test_cells_with_other_rows_are_not_compared():
    columns = planted()
    named = {f"{setting}-{s}": own for (setting, s), own in columns.items()}
    check_alike(named)
    one = dict(named["slots1-none-0"], position=np.arange(300)[::-1])
    with pytest.raises(CellsUnlike, match="other rows"):
        check_alike({**named, "late": one})
    one = dict(named["slots1-none-0"], num_tokens=named["slots1-none-0"]["num_tokens"] + 1)
    with pytest.raises(CellsUnlike, match="other texts or vectors"):
        check_alike({**named, "late": one})


def test_the_verdict_in_words_says_what_rows_alone_would_have_claimed():
    """A level of its own in every training, and nothing planted: rows alone call it an effect."""
    rng = np.random.default_rng(5)
    columns = planted(5)
    for (setting, s), own in columns.items():
        shift = 0.05 * rng.normal() + (1.43 - TRUE_NLL[setting])
        columns[setting, s] = {**own, "nll_real": own["nll_real"] + shift * own["num_tokens"]}
    analysis = analysis_of(columns)
    texts = list(sentences(analysis))
    assert len(texts) == len(CONTRASTS)
    assert all("not told apart from seed noise" in text for text in texts)
    assert any("would have called it an effect" in text for text in texts)


def test_the_summary_counts_what_seeds_bear_out_and_what_rows_alone_would_claim():
    analysis = analysis_of(planted())
    said = summary(analysis)
    assert said.startswith("Of 3 contrasts 2 are told apart from seed noise: repetition better")
    assert "affine at 16 better by 0.0" in said
