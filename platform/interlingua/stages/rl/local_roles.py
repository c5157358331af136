"""The roles of reinforcement learning in one process: the pair as it was trained, AV_init within.

AV_init is the AV's own module with the weights of its start switched in: no second trunk.
"""

from dataclasses import replace

from torch import nn

from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of
from interlingua.models.pair.prompts import ar_ids, av_prompt
from interlingua.models.pair.trained import trained_reconstructor, trained_verbalizer
from interlingua.models.sampling.batched import BatchVerbalizer
from interlingua.models.sampling.ending import Ending
from interlingua.specs.training import AvSpec, OptimSpec
from interlingua.stages.nla.pair import width_of
from interlingua.stages.rl.ar import EngineReconstructor, SupervisedReconstructor
from interlingua.stages.rl.av import EngineVerbalizer, Policy, Reference, SampleTexts
from interlingua.stages.rl.job import RlJob
from interlingua.stages.rl.roles import Judgement, Roles, Rollouts
from interlingua.stages.sft.best_weights import AR_PREFIX, AV_PREFIX, weights_of
from interlingua.stages.sft.engine import Engine, ParamGroup, TorchEngine
from interlingua.store.hosts import opened_from


class LocalJudge:
    """AR and AV_init in this process, one after the other."""

    def __init__(self, reconstructor: EngineReconstructor, reference: Reference) -> None:
        self._reconstructor, self._reference = reconstructor, reference

    def __call__(self, rollouts: Rollouts) -> Judgement:
        """The AR's vectors and AV_init's log-probs of the samples."""
        return Judgement(
            a_NE=self._reconstructor.reconstruct(rollouts.ar_prompts_NT),
            reference_NT=self._reference.log_probs(rollouts),
        )


def local_roles(job: RlJob) -> Roles:
    """All roles in this process, by plain torch."""
    policy, model = opened_policy(job), opened_reconstructor(job)
    spec = job.spec.rl
    # A role that is not trained has no OptimSpec and takes the other's, with its dtype.
    av_engine = _engine(policy, job, spec.av or spec.ar)
    ar_engine = _engine(model, job, spec.ar or spec.av)
    reconstructor = reconstructor_over(ar_engine, job)
    # Copied before anything is stepped or resumed: the start is that of the artifact.
    reference = Reference(
        av_engine, av_engine.trained_weights(), batch_rows=job.batch_rows, device=job.device
    )
    return Roles(
        verbalizer_over(av_engine, job), reconstructor, LocalJudge(reconstructor, reference)
    )


def opened_policy(job: RlJob) -> Policy:
    """The AV as supervised training left it."""
    spec = job.spec
    source, revision = opened_from(job.inputs.pair.trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    verbalizer = trained_verbalizer(
        source,
        _without_dropout(spec.av),
        weights_of(job.inputs.pair.av, AV_PREFIX),
        revision=revision,
        device=job.device,
    )
    contract = contract_of(tokenizer, width_of(verbalizer), av=spec.av)
    prompts = {tag: av_prompt(contract, tokenizer, tag) for tag in spec.host_tags}
    return Policy(verbalizer, prompts, clip_ratio=spec.rl.clip_ratio, kl_coef=spec.rl.kl_coef)


def opened_reconstructor(job: RlJob) -> SupervisedReconstructor:
    """The AR as supervised training left it."""
    source, revision = opened_from(job.inputs.pair.trunk)
    weights = weights_of(job.inputs.pair.ar, AR_PREFIX)
    return SupervisedReconstructor(
        trained_reconstructor(source, job.spec.ar, weights, revision=revision, device=job.device)
    )


def verbalizer_over(engine: Engine, job: RlJob) -> EngineVerbalizer:
    """The AV's role, over an engine that holds a Policy."""
    spec = job.spec
    source, revision = opened_from(job.inputs.pair.trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    # The weights are the engine's: what is sampled from is what is stepped, with no copy.
    policy = engine.module
    assert isinstance(policy, Policy)
    verbalizer = policy.verbalizer
    contract = contract_of(tokenizer, width_of(verbalizer), av=spec.av, ar=spec.ar)
    texts = SampleTexts(
        Ending(verbalizer.trunk.model, tokenizer),
        lambda explanation: ar_ids(contract, tokenizer, [explanation])[0],
        max_tokens=spec.ar.max_tokens,
    )
    sampler = BatchVerbalizer(
        verbalizer, tokenizer, contract, device=job.device, batch_rows=job.batch_rows
    )
    return EngineVerbalizer(
        engine,
        sampler,
        texts,
        max_new_tokens=spec.rl.max_new_tokens,
        micro_batch_rows=job.micro_batch_rows,
        device=job.device,
    )


def reconstructor_over(engine: Engine, job: RlJob) -> EngineReconstructor:
    """The AR's role, over an engine that holds a SupervisedReconstructor."""
    learner = engine.module
    assert isinstance(learner, SupervisedReconstructor)
    return EngineReconstructor(
        engine,
        width=learner.reconstructor.width,
        micro_batch_rows=job.micro_batch_rows,
        batch_rows=job.batch_rows,
        device=job.device,
    )


def groups_of(module: nn.Module, learning_rate: float) -> list[ParamGroup]:
    """All trained weights, at one rate."""
    return [ParamGroup([w for w in module.parameters() if w.requires_grad], learning_rate)]


def _engine(module: nn.Module, job: RlJob, learner: OptimSpec | None) -> TorchEngine:
    assert learner is not None
    # A role that is not trained has an engine, too: it runs its forwards and is never stepped.
    groups = groups_of(module, learner.learning_rate)
    return TorchEngine(module, groups, learner, job.device)


def _without_dropout(spec: AvSpec) -> AvSpec:
    """The spec without dropout of its adapters.

    Samples are drawn without dropout: under it the policy that is stepped would be another one than
    was sampled, and every ratio would carry its noise.
    """
    return spec if spec.lora is None else replace(spec, lora=replace(spec.lora, dropout=0.0))
