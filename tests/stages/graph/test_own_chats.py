"""Chats, read at their last token by two hosts, with explanations of two teachers."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.own_data import built, own_recipe, write_rows
from tests.own_model import save_model, texts

from interlingua import NLA
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.report.page.page import PAGE_NAME
from interlingua.sources.files import sha256_of_files
from interlingua.specs.corpora import ChatTemplate, TextFiles
from interlingua.specs.extraction import LastToken
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import HostSpec, HubHost
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.teachers import ExplanationFile
from interlingua.store.rows.explanations import EXPLANATIONS_NAME
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow

NUM_CHATS, ANCHOR, OTHER = 160, "anchor", "other"
# As Qwen's: the switch decides whether an answer begins with an empty thought.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
CHAT = ChatTemplate(
    template=TEMPLATE, arguments=(("enable_thinking", False),), add_generation_prompt=True
)
TEACHERS = ("anna", "ben")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two models, chats, and up to three explanations of each by two teachers."""
    made = tmp_path_factory.mktemp("chats")
    save_model(made / ANCHOR)
    save_model(made / OTHER, vocab_size=450)
    told = texts(NUM_CHATS)
    chats = [
        {
            "id": f"c{number}",
            "messages": [
                {"role": "user", "content": "Who came home?"},
                {"role": "assistant", "content": "The farmer."},
                {"role": "user", "content": " ".join(told[number].split()[:40])},
            ],
        }
        for number in range(NUM_CHATS)
    ]
    write_rows(made / "chats.jsonl", chats)
    explanations = [
        {
            "id": f"c{number}",
            "by": TEACHERS[sample % 2],
            "explanation": " ".join(told[number].split()[sample : sample + 6]),
        }
        for number in range(NUM_CHATS)
        for sample in range(3)
    ]
    write_rows(made / "explanations.jsonl", explanations)
    return made


def recipe(folder: Path, **changes: object) -> Recipe:
    """An anchor and a trained host, which both learn from."""
    block = AtBlock(index=1)
    mine = own_recipe(
        folder,
        model=HubHost(tag=ANCHOR, source=str(folder / ANCHOR)),
        texts=TextFiles(path=str(folder / "chats.jsonl"), text_field="messages", id_field="id"),
        explanations=ExplanationFile(path=str(folder / "explanations.jsonl"), teacher_field="by"),
        read=LastToken(),
        block=block,
    )
    other = HostSpec(source=HubHost(tag=OTHER, source=str(folder / OTHER)), block=block)
    return replace(
        mine,
        hosts=(*mine.hosts, other),
        trained=(OTHER,),
        passages=replace(mine.passages, chat=CHAT),
        **changes,
    )


def names(folder: Path) -> tuple[str, ...]:
    digits = sha256_of_files([folder / "explanations.jsonl"])[:12]
    return tuple(f"{name}-{digits}" for name in TEACHERS)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def refusal(folder, root) -> str:
    """What is said of two teachers that nobody accepted; all before it is built."""
    with pytest.raises(ValueError) as caught:
        built(recipe(folder), root)
    return str(caught.value)


@pytest.fixture(scope="module")
def artifacts(folder, root, refusal):
    """All artifacts of the recipe that accepts both."""
    return built(recipe(folder, accepts_teachers=names(folder)), root)


def test_two_teachers_are_refused_by_name(folder, refusal):
    assert "\n" not in refusal
    assert f"--set accepts_teachers={','.join(sorted(names(folder)))}" in refusal


def test_chats_are_rendered_with_the_switch(artifacts):
    path = artifacts["passages", "text_files"].path / PASSAGES_NAME
    passages = list(read_passages(path, set(Split), SplitAccess(Split)))
    assert len(passages) == NUM_CHATS
    for one in passages:
        assert one.text.startswith("<|im_start|>user\n")
        assert one.text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_every_explanation_of_a_chat_is_learned_from(artifacts, folder):
    table = pq.read_table(artifacts["explanations", "teacher-av_sft"].path / EXPLANATIONS_NAME)
    by_chat: dict[str, list[str]] = {}
    for row in table.to_pylist():
        by_chat.setdefault(row["passage_id"], []).append(row["teacher"])
    anna, ben = names(folder)
    assert by_chat and all(found == [anna, ben, anna] for found in by_chat.values())


def test_both_hosts_are_evaluated_and_read_new_chats(artifacts):
    evaluation = artifacts["evaluation", "own"]
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    nla = NLA.load(artifacts["bundle", "own"].path)
    text = "<|im_start|>user\nWho came home?<|im_end|>\n<|im_start|>assistant\n"
    for tag in (ANCHOR, OTHER):
        assert numbers.get(tag, "sampled", "nmse") is not None
        # No BOS before it: a rendered chat has what it needs.
        assert (nla.activation(text, tag) == nla.activation(text, tag, position=-1)).all()
        [[one]] = nla.verbalize(texts=[text], host=tag, max_new_tokens=6)
        assert one.raw_text
    page = (artifacts["report", "own"].path / PAGE_NAME).read_text()
    assert ANCHOR in page and OTHER in page
