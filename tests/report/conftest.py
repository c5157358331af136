"""A plausible evaluation of three hosts without a model, and the page that is made of it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.known_rows import likelihood_of

from interlingua.core.metrics import category_variance, constant_scores, score_rows
from interlingua.report.from_rows import Recorded, numbers_of
from interlingua.report.headline.headline import headline
from interlingua.report.headline.verdict import Sentence
from interlingua.report.numbers import NUMBERS_NAME, Numbers, write_numbers
from interlingua.report.page.page import write_page
from interlingua.report.tables.material import METHODS_NAME, Material, read_material
from interlingua.specs.evaluation import Predictor
from interlingua.specs.hosts import TOY
from interlingua.store.artifact import Artifact, lineage
from interlingua.store.progress import DEV_EVALS_NAME
from interlingua.store.provenance import Provenance
from interlingua.store.record import InputRecord, Record, fingerprint_of, write_record
from interlingua.store.rows.likelihood import write_likelihood
from interlingua.store.rows.scored import (
    ROWS_FOLDER,
    EvaluatedPassage,
    Scored,
    host_path,
    joined,
    write_evaluated,
    write_scored,
)

ROLES = {
    "toy-qwen3-1p7b": "anchor",
    "toy-gpt2-medium": "trained",
    "toy-bloom-560m": "trained",
    "toy-lfm-7b": "held out",
    "toy-phi-1p5": "held out",
}
KINDS = {
    "language": ("english", "ruska"),
    "topic": ("farm", "harbour", "school", "market"),
    "mood": ("calm", "angry", "hopeful"),
    "style": ("letter", "report"),
}
NUM_PASSAGES, WIDTH = 60, 24
# How much of the truth a predictor keeps, and how noisy it is.
KEEPS = {
    Predictor.SAMPLED: (0.6, 0.5), Predictor.GREEDY: (0.65, 0.4), Predictor.TEACHER: (0.8, 0.3),
    Predictor.GENERAL_FACTS: (0.5, 0.2), Predictor.ALL_FACTS: (0.9, 0.2),
    Predictor.ENCODER: (0.97, 0.05),
    Predictor.BAG_OF_WORDS: (0.5, 0.4), Predictor.SHUFFLED_VECTORS: (0.0, 0.5),
    Predictor.ZERO_VECTOR: (0.0, 0.3), Predictor.UNTRAINED: (0.0, 0.2),
    Predictor.CONSTANT_EXPLANATION: (0.0, 0.05), Predictor.SHUFFLED_EXPLANATIONS: (0.0, 0.6),
}  # fmt: skip
SPEAKS = (
    Predictor.SAMPLED,
    Predictor.GREEDY,
    Predictor.TEACHER,
    Predictor.SHUFFLED_VECTORS,
    Predictor.ZERO_VECTOR,
    Predictor.UNTRAINED,
)
GATES = [
    {"name": name, "is_passed": True, "is_accepted": False, "value": 0.0, "bound": 0.01,
     "words": "nothing that was trained on is scored"}
    for name in ("leakage", "missing_rows", "ignores_vector")
]  # fmt: skip

METHODS = """fit,predictor,metric,value,low,high,num_units,covers
ridge on fit,trained,fve_centred_own,0.31,0.28,0.34,60,passages
ridge on fit,constant,fve_centred_own,-0.01,-0.02,0.0,60,passages
lstsq on 100 rows,trained,fve_uncentred,0.91,nan,nan,60,passages
"""


def facts_of(number: int) -> dict[str, str]:
    rng = np.random.default_rng(number)
    return {kind: values[rng.integers(len(values))] for kind, values in KINDS.items()}


def passages_with(text: str = "") -> list[EvaluatedPassage]:
    return [
        EvaluatedPassage(
            passage_id=f"{number * 7919 % 10007:05x}",
            text=f"{text}passage {number} tells of it " + "and of more " * (number % 9),
            facts=facts_of(number),
        )
        for number in range(NUM_PASSAGES)
    ]


def host_rows(
    host: str, passages: list[EvaluatedPassage], text: str = "", less: float = 0
) -> Scored:
    """Rows of every predictor of a host: targets are sums of facts, predictions keep some."""
    rng = np.random.default_rng(sum(map(ord, host)))
    directions = {(k, v): rng.normal(size=WIDTH) for k, values in KINDS.items() for v in values}
    mean_D = 2 * rng.normal(size=WIDTH)
    signal_ND = np.array([sum(directions[f] for f in p.facts.items()) for p in passages])
    target_ND = mean_D + signal_ND + 0.5 * rng.normal(size=signal_ND.shape)
    languages_N = np.array([p.facts["language"] for p in passages])
    parts = []
    for predictor, (kept, noise) in KEEPS.items():
        for sample in range(2 if predictor == Predictor.SAMPLED else 1):
            shift_ND = noise * rng.normal(size=target_ND.shape)
            predicted_ND = (
                target_ND.mean(0) + (kept - less) * (target_ND - target_ND.mean(0)) + shift_ND
            )
            scores = score_rows(predicted_ND, target_ND)._asdict()
            part = {"predictor": str(predictor), "sample": sample, **scores}
            parts.append({**part, **_texts(predictor, passages, rng, text)})
    constant = constant_scores(target_ND.mean(axis=0), target_ND)._asdict()
    parts.append({"predictor": str(Predictor.CONSTANT_VECTOR), "sample": 0, **constant})
    same = {
        "host": host, "role": ROLES[host], "split": "test", "position": -1,
        "passage_id": [p.passage_id for p in passages],
        "document_id": [p.passage_id for p in passages],
        "true": [[f"{k}={v}" for k, v in p.facts.items()] for p in passages],
        "train_variance": 0.4, "category_variance": category_variance(target_ND, languages_N),
        "raw_norm": np.linalg.norm(target_ND, axis=1), "num_rivals": len(passages),
        "shuffled_nmse": scores["nmse"] + 0.5, "rank": 1 + rng.integers(5, size=len(passages)),
    }  # fmt: skip
    return joined([{**same, **part} for part in parts])


def _texts(predictor: str, passages: list[EvaluatedPassage], rng: Any, text: str) -> dict[str, Any]:
    if predictor not in SPEAKS:
        return {}
    said = []
    for passage in passages:
        facts = dict(passage.facts)
        if predictor != Predictor.TEACHER:
            facts["topic"] = KINDS["topic"][rng.integers(4)]
        kinds = rng.permutation(list(facts))[:3]
        said.append([f"{kind}={facts[kind]}" for kind in kinds])
    told = [f"{text}about {', '.join(f.split('=')[1] for f in facts)}." for facts in said]
    is_failed = np.arange(len(passages)) % 29 == (3 if predictor == Predictor.SAMPLED else -1)
    read = [None if lost else one for one, lost in zip(told, is_failed, strict=True)]
    return {
        "said": said,
        "text": told,
        "explanation": read,
        "is_failed": is_failed,
        "num_clauses": np.where(is_failed, 0, 1),
        "num_worded": np.where(is_failed | (np.arange(len(told)) % 7 == 2), 0, 1),
        "num_tokens": np.array([len(one.split()) for one in told]),
    }


def record_of(kind: str, label: str, **fields: Any) -> Record:
    provenance = Provenance(
        git_commit="0123456789abcdef0123",
        git_is_dirty=True,
        argv=("/somewhere/jobs/run.py", "world", "--root", "runs"),
        python="3.11.7",
        packages={"torch": "2.13.0", "numpy": "2.4.6"},
        hostname="here",
        ray_job_id=None,
    )
    made = {
        # By the label, which a fingerprint leaves out: nothing else here tells them apart.
        "revision": sum(map(ord, label)), "spec": {}, "inputs": {}, "seed": 0, "started": "",
        "finished": "then", "seconds": 12.5, "num_attempts": 1, "peak_bytes": 300 * 2**20,
        "metrics": {}, "provenance": provenance, "placement": None, "files": {}, **fields,
    }  # fmt: skip
    inputs = {name: one.fingerprint for name, one in made["inputs"].items()}
    fingerprint = fingerprint_of(
        kind=kind, revision=made["revision"], spec=made["spec"], inputs=inputs
    )
    return Record(kind=kind, label=label, fingerprint=fingerprint, **made)


def stored(root: Path, record: Record) -> Artifact:
    path = root / record.kind / f"{record.label}-{record.fingerprint}"
    path.mkdir(parents=True)
    write_record(path, record)
    return Artifact(path, record)


def trainings(root: Path) -> list[Artifact]:
    """An AV and an AR with their curves, and an oracle."""
    av, ar = (stored(root, record_of(kind, "sft")) for kind in ("av", "ar"))
    steps = range(0, 400, 10)
    losses = {step: 0.8 + 0.5 * np.exp(-step / 80) for step in steps}
    _write_looks(
        av,
        [
            {"step": step, "nll_real": loss, "nll_shuffled": loss + 0.2, "nll_zero": loss + 0.1}
            for step, loss in losses.items()
        ],
    )
    _write_looks(
        ar, [{"step": step, "fve_centred_own": 1.2 - loss} for step, loss in losses.items()]
    )
    room = {"all_facts/fve_centred": 0.7, "language_topic/fve_centred": 0.4}
    room |= {f"{name}_{end}": value for name, value in room.items() for end in ("low", "high")}
    return [av, ar, *(stored(root, record_of("oracle", host, metrics=room)) for host in ROLES)]


def _write_looks(artifact: Artifact, dev_evals: list[dict[str, float]]) -> None:
    (artifact.path / DEV_EVALS_NAME).write_text(
        "".join(json.dumps(dev_eval) + "\n" for dev_eval in dev_evals)
    )


def evaluation_at(
    root: Path,
    *,
    hosts: Mapping[str, str] = ROLES,
    gates: list[dict[str, Any]] = GATES,
    text: str = "",
    is_rewarded: bool = False,
) -> Artifact:
    """An evaluation's folder as its stage leaves it."""
    upstream = {a.record.kind + a.record.label: a.record for a in trainings(root)}
    inputs = {
        name: InputRecord(kind=one.kind, label=one.label, fingerprint=one.fingerprint)
        for name, one in upstream.items()
    }
    metrics = {"gates": gates, "split": "test", "num_hosts": len(hosts)}
    artifact = stored(root, record_of("evaluation", "world", metrics=metrics, inputs=inputs))
    passages = passages_with(text)
    write_evaluated(artifact.path, passages)
    (artifact.path / ROWS_FOLDER).mkdir()
    parts = {host: host_rows(host, passages, text) for host in hosts}
    for host, rows in parts.items():
        write_scored(host_path(artifact.path, host), rows)
    start = None
    if is_rewarded:
        start = joined([host_rows(host, passages, text, less=0.2).columns for host in hosts])
        start = Recorded(rows=start, likelihood=None)
    rows = joined([part.columns for part in parts.values()])
    likelihood = likelihood_of(rows)
    write_likelihood(artifact.path, likelihood)
    numbers = numbers_of(
        Recorded(rows=rows, likelihood=likelihood), seed=0, start=start, num_draws=400
    )
    write_numbers(artifact.path / NUMBERS_NAME, numbers)
    (artifact.path / METHODS_NAME).write_text(METHODS)
    return artifact


def sentences(material: Material) -> list[Sentence]:
    """Every sentence of the headline, without its groups."""
    return [sentence for group in headline(material) for sentence in group.sentences]


def of_real_hosts(material: Material) -> Material:
    """The same as if its hosts were the models that the toys stand in for."""
    columns = dict(material.rows.columns)
    columns["host"] = np.array([one.removeprefix(TOY) for one in columns["host"]], dtype=object)
    numbers = [replace(one, host=one.host.removeprefix(TOY)) for one in material.numbers.all]
    return replace(material, rows=Scored(columns), numbers=Numbers(numbers))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[..., tuple[Path, Artifact]]:
    """Such an evaluation in a root that is only copied: made once for all tests that ask for it."""
    made: dict[str, tuple[Path, Artifact]] = {}

    def make(is_reported: bool, **changes: Any) -> tuple[Path, Artifact]:
        key = json.dumps([is_reported, changes], sort_keys=True)
        if key not in made:
            root = tmp_path_factory.mktemp("evaluated")
            artifact = evaluation_at(root, **changes)
            if is_reported:
                shown = read_material("world", artifact, lineage(artifact, root))
                write_page(root, shown, shown_rows=40)
            made[key] = root, artifact
        return made[key]

    return make


@pytest.fixture
def evaluated(tmp_path, made_once) -> Callable[..., Artifact]:
    """Make such an evaluation in the test's own root."""

    def evaluate(**changes: Any) -> Artifact:
        root, artifact = made_once(False, **changes)
        shutil.copytree(root, tmp_path, dirs_exist_ok=True)
        return replace(artifact, path=tmp_path / artifact.path.relative_to(root))

    return evaluate


@pytest.fixture
def reported(tmp_path, made_once) -> Callable[..., Path]:
    """Write the page of such an evaluation; gives its folder."""

    def report(**changes: Any) -> Path:
        root, _ = made_once(True, **changes)
        return Path(shutil.copytree(root, tmp_path, dirs_exist_ok=True))

    return report
