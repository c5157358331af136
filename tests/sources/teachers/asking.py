"""A teacher that asks a fake endpoint, as a stage would, without one."""

from collections import Counter
from pathlib import Path
from typing import Any

from interlingua.sources.source import Site
from interlingua.sources.teachers.chat_asking import Backoff
from interlingua.sources.teachers.chat_teacher import ByChat, opened
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ChatTeacher, Prompt
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id

WHOLE = Site(position=-1, span=None)
PROMPT = Prompt(user="{text}", max_new_tokens=20)
SOON = Backoff(attempts=3, first_seconds=0.01, most_seconds=0.05)
REASONS = (
    "num_refused", "num_malformed", "num_empty", "num_cut_off", "num_failed", "num_rejected",
    "num_lost", "num_repeated", "num_without_text",
)  # fmt: skip


def passage(text: str) -> Passage:
    identity = passage_id(text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=Split.AV_SFT,
        text=text,
        facts={},
        mentions=(),
    )


def texts(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


def stage_folder(root: Path, name: str = "teacher-av_sft-0123456789ab") -> Path:
    """Where a stage works."""
    made = root / "explanations" / f"{name}.00000000.partial"
    made.mkdir(parents=True, exist_ok=True)
    return made


def chat(root: Path, url: str, *, prompt: Prompt = PROMPT, stage: str = "one", **place: Any):
    """A teacher of that root; `place` are fields of the placement."""
    given = {"key_variable": None, "concurrency": 4, "timeout_seconds": 20.0} | place
    return opened(
        ChatTeacher(model="fake-1", prompt=prompt),
        place=TeachingPlacement(url=url, **given),
        out=stage_folder(root, stage),
        backoff=SOON,
    )


def explained(teacher: ByChat, asked: list[str], num_samples: int = 1) -> dict[str, list[str]]:
    """The explanations of whole passages, by text; every row is explained or counted."""
    sites = [(passage(text), WHOLE) for text in asked]
    found = teacher.explain(sites, num_samples)
    check_counts(teacher, len(asked) * num_samples)
    return {text: [one for _, one in own] for text, own in zip(asked, found, strict=True)}


def check_counts(teacher: ByChat, num_rows: int) -> None:
    """Raise unless every row ended with an explanation or a counted reason."""
    counts = teacher.counts()
    ended = sum(counts.get(name, 0) for name in ("num_explained", *REASONS))
    assert ended == num_rows, dict(counts)


def reasons(teacher: ByChat) -> Counter[str]:
    """Rows without an explanation, by reason."""
    counts = teacher.counts()
    return +Counter({name: counts.get(name, 0) for name in REASONS})
