"""The pairs of the public release, each with its reinforcement: all weights are trained.

What a reader of the results must know is in `notes`.
"""

from dataclasses import replace
from typing import Any

from interlingua.recipes.published_parts import LEARNER, ONE_SLOT, RL_WATCH, pool_spec
from interlingua.recipes.single_host import NUM_DOCUMENTS, POSITIONS, WORDING, nano_qwen3_8b_L24
from interlingua.specs.corpora import HubText
from interlingua.specs.injection import BosRule, Readout
from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import RlSpec, ScaledError
from interlingua.specs.training import OptimSpec, RateDecay

ULTRA_FINEWEB = HubText(
    dataset="openbmb/Ultra-FineWeb",
    files="data/ultrafineweb_en/*.parquet",
    text_field="content",
    name="openbmb/Ultra-FineWeb:en",
    count=NUM_DOCUMENTS,
)
RELEASE_OPTIM = OptimSpec(
    learning_rate=2e-5,
    warmup_steps=50,
    decay=RateDecay.COSINE,
    # Nothing is said of these two: those of the single-device trainer that follows this one.
    betas=(0.9, 0.95),
    weight_decay=0.0,
    clip_norm=1.0,
    dtype="bfloat16",
)
RELEASE_RL = RlSpec(
    tag="rl",
    seed=0,
    num_steps=4200,
    activations_per_step=64,
    group_size=8,
    max_new_tokens=150,
    av=LEARNER,
    ar=replace(LEARNER, learning_rate=5e-5),
    reward=ScaledError(),  # published: -NMSE, which is this times the host's variance
    length_penalty=0.0,
    failure_reward=-2.0,  # published: of NMSE; `_release` divides it by the host's variance
    advantage_floor=1e-6,
    kl_coef=0.01,
    clip_ratio=0.2,
    max_skipped_share=0.05,
    watch=replace(RL_WATCH, evaluate_every=100, checkpoint_every=50),
)


ON_WEB_TEXT = (
    "On web text, as the training notes have it; the released pairs also saw WildChat, half and "
    "half. "
)
LIKE_QWEN = "Published as the settings of Qwen2.5-7B with light adjustment."


def _release(
    name: str,
    *,
    tag: str,
    scale: float,
    variance: float,
    rl_steps: int,
    checkpoints_gradients: bool,
    notes: str,
) -> Recipe:
    """A pair of the public release: all weights, at the block and the scale of its sidecar."""
    recipe = nano_qwen3_8b_L24()
    host = pool_spec(tag, max_tokens=4096)
    # The shell scripts have other defaults (5e-5 and batch 32 for the AV, 1e-4 and 64 for the AR,
    # constant); the training notes name what the released checkpoints were made with.
    training: dict[str, Any] = {
        "lora": None,
        "num_steps": 1000,
        "batch_rows": 256,
        "optim": RELEASE_OPTIM,
        "gradient_checkpointing": checkpoints_gradients,
    }
    # Without BOS a released AR fell from 0.77 to 0.31.
    ar = replace(recipe.ar, readout=Readout.RAW, bos=BosRule.TOKENIZER_DEFAULT, **training)
    return replace(
        recipe,
        name=name,
        passages=replace(recipe.passages, corpus=ULTRA_FINEWEB),
        hosts=(host,),
        anchor=tag,
        read=replace(POSITIONS, per_passage=5),
        av=replace(recipe.av, injection=replace(ONE_SLOT, scale=scale), **training),
        ar=replace(ar, block_index=host.block_index),
        rl=(replace(RELEASE_RL, num_steps=rl_steps, failure_reward=-2.0 / variance),),
        notes=f"{WORDING}{ON_WEB_TEXT}{notes}",
    )


def release_qwen2p5_7b_L20() -> Recipe:  # noqa: N802
    """The public release's pair of Qwen2.5-7B at block 20, with its reinforcement."""
    return _release(
        "release_qwen2p5_7b_L20",
        tag="qwen2p5-7b-it",
        scale=150.0,
        variance=0.7335,
        rl_steps=4200,
        checkpoints_gradients=False,
        notes="Released: fve_nrm 0.752, on rows of its training set.",
    )


def release_gemma3_12b_L32() -> Recipe:  # noqa: N802
    """The public release's pair of Gemma-3-12B at block 32, with its reinforcement."""
    return _release(
        "release_gemma3_12b_L32",
        tag="gemma3-12b-it",
        scale=80_000.0,
        variance=0.0302,
        rl_steps=4000,
        checkpoints_gradients=True,
        notes=f"Released: fve_nrm 0.768, on rows of its training set. {LIKE_QWEN}",
    )


def release_gemma3_27b_L41() -> Recipe:  # noqa: N802
    """The public release's pair of Gemma-3-27B at block 41, with its reinforcement."""
    return _release(
        "release_gemma3_27b_L41",
        tag="gemma3-27b-it",
        scale=60_000.0,
        variance=0.0579,
        rl_steps=6000,
        checkpoints_gradients=True,
        notes=f"Released: fve_nrm 0.763, on rows of its training set. {LIKE_QWEN}",
    )


def release_llama3p3_70b_L53() -> Recipe:  # noqa: N802
    """The public release's pair of Llama-3.3-70B at block 53, with its reinforcement."""
    return _release(
        "release_llama3p3_70b_L53",
        tag="llama3p3-70b-it",
        scale=30.0,
        variance=0.9169,
        rl_steps=2424,
        checkpoints_gradients=True,
        notes=f"Released: fve_nrm 0.80, on rows of its training set. {LIKE_QWEN}",
    )
