"""Two published recipes by their names, from a hub and a teacher to the report, in a few steps.

Nothing is learned: what is tried is that every host, file, prompt and stage of them is there.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sources.hub import GOOD_TOKEN, FakeHub
from tests.sources.openai import Asked, FakeOpenAI, Reply, said, served

from interlingua.recipes.registry import PUBLISHED
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.specs.evaluation import GateName, Predictor
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.training import HubFolder
from interlingua.store.record import read_record

pytestmark = pytest.mark.timeout(1800)

REPOSITORY = Path(__file__).parents[3]
KEY = "sk-of-the-walk-0123456789"
SMALL = {
    "av.num_steps": "12",
    "av.batch_rows": "8",
    "av.optim.warmup_steps": "2",
    "av.watch.validate_every": "6",
    "av.watch.checkpoint_every": "6",
    "av.watch.dev_rows": "8",
    "ar.num_steps": "12",
    "ar.batch_rows": "8",
    "ar.optim.warmup_steps": "2",
    "ar.watch.validate_every": "6",
    "ar.watch.checkpoint_every": "6",
    "ar.watch.dev_rows": "8",
    "speaking.max_new_tokens": "10",
    "evaluation.rows": "12",
    "evaluation.shown_rows": "4",
    # Models that learned nothing say nothing; gates of rows and leakage must pass all the same.
    "evaluation.accepts": ",".join(
        (
            GateName.TAG_FAILURES,
            GateName.COLLAPSED_TEXTS,
            GateName.COLLAPSED_GREEDY,
            GateName.UNREADABLE_WORDING,
            GateName.IGNORES_VECTOR,
            GateName.OUTLIER_HOST,
        )
    ),
}
RUNS = {
    "universal_v6": {"passages.corpus.count": "200"},
    "slots16_affine_qwen3_8b": {"passages.corpus.count": "320", "read.per_passage": "2"},
}


@dataclass(frozen=True, kw_only=True)
class Walked:
    """A run that ended, and what it wrote."""

    recipe: Recipe
    root: Path
    output: str


def answer(asked: Asked) -> Reply:
    """Two paragraphs where the prompt asks for tags, else a sentence; of the last words."""
    last = " ".join(asked.text.split()[-6:])
    if "<analysis>" in asked.text:
        return said(f"<analysis>\nA text whose words are plain.\n\nIts end: {last}\n</analysis>")
    return said(f"A text that ends in {last}")


@pytest.fixture(scope="module")
def teacher() -> Iterator[FakeOpenAI]:
    with served(answer) as fake:
        yield fake


def command(
    name: str, hub: FakeHub, home: Path, teacher: FakeOpenAI, *arguments: str, **changed: str
) -> subprocess.CompletedProcess[str]:
    """Run `jobs.run` on a cluster of its own, with the key and the token in its environment."""
    settings = {**SMALL, **RUNS[name], "placement.teaching.url": teacher.url}
    program = [sys.executable, "-m", "jobs.run", name, "--placement", "laptop", *arguments]
    for path, value in settings.items():
        program += ["--set", f"{path}={value}"]
    key_variable = PUBLISHED[name]().placement.teaching.key_variable
    environment = hub.environment(home) | {
        "HF_TOKEN": GOOD_TOKEN,
        key_variable: KEY,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)]),
        **changed,
    }
    environment.pop("RAY_ADDRESS", None)
    return subprocess.run(
        program, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1500
    )


@pytest.fixture(scope="module", params=RUNS)
def walked(request, families, teacher, tmp_path_factory) -> Walked:
    """The whole recipe, once."""
    folder = tmp_path_factory.mktemp(request.param)
    root = folder / "root"
    done = command(request.param, families, folder / "home", teacher, "--root", str(root))
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    recipe = PUBLISHED[request.param]()
    return Walked(recipe=recipe, root=root, output=done.stdout + done.stderr)


@pytest.mark.ray
def test_every_host_is_in_the_numbers_and_on_the_page(walked):
    [evaluation] = (walked.root / "evaluation").iterdir()
    numbers = read_numbers(evaluation / NUMBERS_NAME)
    [page] = (walked.root / "report").glob("*/report.html")
    html = page.read_text()
    for host in walked.recipe.hosts:
        assert numbers.get(host.tag, Predictor.SAMPLED, "nmse").num_units > 0
        assert host.tag in html and host.tag in walked.output


@pytest.mark.ray
def test_every_model_has_come_once(walked):
    sources = {host.source.source for host in walked.recipe.hosts}
    if isinstance(start := walked.recipe.av.start, HubFolder):
        sources.add(start.source)
    fetched = [read_record(folder).spec["source"] for folder in (walked.root / "fetched").iterdir()]
    assert sorted(fetched) == sorted(sources)


@pytest.mark.ray
def test_no_file_and_no_line_has_the_key_or_the_token(walked, teacher, families):
    assert {one.key for one in teacher.asked} == {KEY} and families.tokens >= {GOOD_TOKEN}
    for secret in (KEY, GOOD_TOKEN):
        assert secret not in walked.output
        holds = [
            str(path)
            for path in walked.root.rglob("*")
            if path.is_file() and secret.encode() in path.read_bytes()
        ]
        assert not holds


@pytest.mark.parametrize("name", RUNS)
def test_preflight_passes_online_and_names_every_host_offline(
    name, families, teacher, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("preflight")
    arguments = ("--preflight", "--root", str(folder / "root"))
    online = command(name, families, folder / "home", teacher, *arguments)
    assert online.returncode == 0, online.stdout + online.stderr
    offline = command(name, families, folder / "empty", teacher, *arguments, HF_HUB_OFFLINE="1")
    assert offline.returncode == 1, offline.stdout + offline.stderr
    for host in PUBLISHED[name]().hosts:
        assert isinstance(host.source, HubHost)
        for output in (online.stdout, offline.stdout):
            assert host.tag in output or host.source.source in output
