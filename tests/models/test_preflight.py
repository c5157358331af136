"""What is found of a model before a run: on a hub, in the cache, in a folder, and what is wrong."""

import json
from dataclasses import replace

import pytest
import sentencepiece
from huggingface_hub import constants, hf_hub_download, snapshot_download
from tests.models.gguf_files import small_llama, small_tokenizer, write_gguf
from tests.sources.hub import COMMIT, GOOD_TOKEN, serving, use
from transformers import T5Config

from interlingua.models.hosts import model_files, reach
from interlingua.models.hosts.fetched import fetch_model
from interlingua.models.hosts.hub import HubRepository
from interlingua.models.hosts.preflight import ModelAsked, seen_model
from interlingua.models.hosts.reach import why_no_hub
from interlingua.models.pair.preflight import trunk_findings
from interlingua.recipes.own import AR, AV
from interlingua.specs.finding import State
from interlingua.specs.hosts import AtBlock, AtDepth

NAME = "someone/tiny-llama"
TOKENIZER = small_tokenizer(has_single_digits=True)
MODEL = small_llama(TOKENIZER.get_vocab_size(), is_tied=False)
NUM_BLOCKS = MODEL.config.num_hidden_layers
ASKED = ModelAsked(
    subject="hosts.it", source=NAME, revision=COMMIT, block=AtDepth(fraction=0.5), dtype="bfloat16"
)
GIVEN = "HF_HUB_OFFLINE is set"


@pytest.fixture
def folder(tmp_path):
    MODEL.save_pretrained(tmp_path / "own")
    TOKENIZER.save(str(tmp_path / "own" / "tokenizer.json"))
    return tmp_path / "own"


@pytest.fixture
def hub(tmp_path, monkeypatch, folder):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between attempts
    with serving() as served:
        use(served, tmp_path / "home", monkeypatch)
        served.add(NAME, {one.name: one.read_bytes() for one in folder.iterdir()}, kind="model")
        yield served


def lines(asked: ModelAsked = ASKED, why: str | None = None) -> list[tuple[str, State]]:
    return [(one.what, one.state) for one in seen_model(asked, why).findings]


def test_a_model_of_the_hub_is_seen_without_its_weights(hub):
    assert why_no_hub() is None
    seen = seen_model(ASKED, None)
    config, tokenizer, weights = [one.what for one in seen.findings]
    assert config.startswith(f"{NAME} at {COMMIT[:8]}: LlamaForCausalLM, {NUM_BLOCKS} blocks of")
    assert ", block 1; up to it " in config and config.endswith("in bfloat16")
    assert tokenizer.startswith("tokenizer: ") and "eos" in tokenizer
    assert weights.endswith(", safetensors, " + weights.split(", ")[0].split(": ")[1] + " to come")
    assert all(one.state is State.OK for one in seen.findings)
    assert "model.safetensors" not in hub.downloads()
    above = sum(p.numel() for block in MODEL.model.layers[2:] for p in block.parameters())
    assert seen.read_bytes == 2 * (sum(p.numel() for p in MODEL.parameters()) - above)
    assert seen.to_come == seen.files.num_bytes > seen.read_bytes


def test_without_a_revision_it_is_the_commit_of_now(hub):
    [(config, _), *_] = lines(replace(ASKED, revision=None))
    assert f"at {COMMIT[:8]}" in config
    # Without a connection the last that the cache has seen; its weights are still to come.
    snapshot_download(NAME, ignore_patterns=["*.safetensors"])
    asked = list(hub.asked)
    states = dict(lines(replace(ASKED, revision=None), GIVEN))
    assert list(states.values()) == [State.OK, State.OK, State.MISSING] and hub.asked == asked


def test_what_was_fetched_needs_no_hub(hub, tmp_path):
    target = tmp_path / "fetched"
    target.mkdir()
    repository = HubRepository(name=NAME, revision=COMMIT, kind="model")
    fetch_model(repository, target, lambda *_: None)
    asked = list(hub.asked)
    for found in (lines(replace(ASKED, fetched=target), GIVEN), lines(ASKED, GIVEN)):
        assert [state for _, state in found] == [State.OK] * 3
        assert found[-1][0].endswith(", safetensors, here")
    assert hub.asked == asked


def test_a_cache_without_the_list_of_files_is_said_to_be_one(hub):
    hf_hub_download(NAME, "config.json", revision=COMMIT)
    [(what, state)] = lines(ASKED, GIVEN)
    assert what.startswith(f"some files of model {NAME} at {COMMIT[:12]} are in the cache")
    assert state is State.MISSING


def test_what_is_not_here_has_its_published_size(monkeypatch):
    asked = replace(ASKED, source="deepseek-ai/deepseek-llm-7b-base", revision=None)
    seen = seen_model(asked, GIVEN)
    [(what, state)] = [(one.what, one.state) for one in seen.findings]
    assert what == (
        "deepseek-ai/deepseek-llm-7b-base is not here; as published 12.87 GiB pickled in bfloat16, "
        "30 blocks, block 14; up to it 6.44 GiB in bfloat16"
    )
    assert state is State.MISSING and seen.to_come == 2 * 6_910_365_696
    wrong = replace(asked, block=AtBlock(index=30))
    [(what, state)] = lines(wrong, GIVEN)
    assert what.endswith("AtBlock.index is 30; the host has 30 blocks") and state is State.WRONG
    assert lines(replace(ASKED, source="no/body"), GIVEN) == [
        ("no/body is not here", State.MISSING)
    ]
    monkeypatch.setattr(model_files, "has_token", lambda: False)
    gated = replace(ASKED, source="google/gemma-3-12b-it", revision=None)
    assert [state for _, state in lines(gated, GIVEN)] == [State.MISSING, State.MISSING]
    assert "is gated: its licence must be accepted" in lines(gated, GIVEN)[1][0]
    monkeypatch.setattr(model_files, "has_token", lambda: True)
    assert lines(gated, GIVEN)[1][1] is State.UNKNOWN
    slow = replace(ASKED, source="yandex/YandexGPT-5-Lite-8B-pretrain", revision=None)
    assert lines(slow, GIVEN)[1] == ("its tokenizer is read by sentencepiece", State.OK)
    monkeypatch.setattr(model_files, "find_spec", lambda _: None)
    assert lines(slow, GIVEN)[1][1] is State.MISSING


def test_a_gated_model_says_where_its_licence_is(hub, monkeypatch):
    hub.gated.add(NAME)
    [one] = seen_model(ASKED, None).findings
    assert (one.state, one.remedy) == (
        State.MISSING, f"accept it at {hub.url}/{NAME}, set HF_TOKEN"
    )  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    assert [state for _, state in lines()] == [State.OK] * 3


def changed(hub, name: str, **values: object) -> None:
    files = hub.repositories[NAME]
    files[name] = json.dumps(json.loads(files[name]) | values).encode()


def test_what_is_wrong_with_a_model_is_a_line(hub):
    [(what, state)] = lines(replace(ASKED, source="someone/else"))
    assert (what, state) == (
        f"{hub.url} has no model someone/else, or it is private: mind the spelling, and set "
        "HF_TOKEN where it is yours", State.WRONG
    )  # fmt: skip
    found = lines(replace(ASKED, block=AtBlock(index=9)))
    assert found[0][1] is State.WRONG and "AtBlock.index is 9; the host has 3" in found[0][0]
    del hub.repositories[NAME]["model.safetensors"]
    hub.add("someone/none", dict(hub.repositories[NAME]), kind="model")
    [(what, state)] = lines(replace(ASKED, source="someone/none"))
    assert "has neither model.safetensors nor pytorch_model.bin" in what and state is State.WRONG


def test_another_architecture_and_a_broken_tokenizer_are_lines(hub):
    hub.repositories[NAME]["config.json"] = T5Config().to_json_string().encode()
    hub.repositories[NAME]["tokenizer.json"] = b"{}"
    found = lines()
    assert [state for _, state in found] == [State.WRONG, State.WRONG, State.OK]
    assert "is an encoder-decoder" in found[0][0] and found[1][0].startswith("tokenizer: ")


def test_pickled_weights_are_said_to_be_converted(hub):
    files = hub.repositories[NAME]
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    assert ", pickled, converted to safetensors once, " in lines()[2][0]


def test_a_folder_and_a_gguf_file(folder, tmp_path):
    here = replace(ASKED, source=str(folder), revision=None)
    assert [state for _, state in lines(here, GIVEN)] == [State.OK] * 3
    (folder / "model.safetensors").unlink()
    assert lines(here, GIVEN)[0][1] is State.WRONG
    gone = replace(here, source=str(tmp_path / "gone"))
    assert lines(gone, GIVEN) == [(f"{tmp_path / 'gone'}: nothing is there", State.WRONG)]
    write_gguf(tmp_path / "own.gguf", MODEL, TOKENIZER)
    one = replace(here, source=str(tmp_path / "own.gguf"))
    assert [state for _, state in lines(one, GIVEN)] == [State.OK, State.UNKNOWN]
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    assert [state for _, state in lines(one, GIVEN)] == [State.WRONG]


def test_a_tokenizer_of_sentencepiece_alone_opens(folder, tmp_path):
    """As YandexGPT's: no tokenizer.json, and a class of a name that transformers no longer has."""
    text = tmp_path / "text.txt"
    text.write_text(
        "\n".join(f"the miller carried {n} baskets over the old bridge" for n in range(300))
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=80, model_type="bpe",
        byte_fallback=False, bos_id=1, eos_id=2, unk_id=0, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    for name in ("tokenizer.json", "tokenizer.vocab"):
        (folder / name).unlink()
    config = {"tokenizer_class": "LlamaTokenizer", "eos_token": "</s>", "use_fast": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    seen = seen_model(replace(ASKED, source=str(folder), revision=None), GIVEN)
    assert [one.state for one in seen.findings] == [State.OK] * 3
    assert seen.tokenizer is not None and seen.tokenizer.eos_token == "</s>"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    said = "the old miller carried baskets"
    assert seen.tokenizer.encode(said, add_special_tokens=False) == pieces.encode(said)


def test_extra_special_tokens_may_be_a_list(folder):
    """As Gemma 4 has them."""
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "extra_special_tokens": ["<|image|>"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    seen = seen_model(replace(ASKED, source=str(folder), revision=None), GIVEN)
    assert seen.tokenizer is not None
    assert len(seen.tokenizer.encode("<|image|>", add_special_tokens=False)) == 1


def test_a_trunk_needs_a_marker_and_an_end(folder):
    seen = seen_model(replace(ASKED, source=str(folder), revision=None), GIVEN)
    sizes = {
        "width": seen.width,
        "num_ids": seen.num_ids,
        "av": AV,
        "ar": replace(AR, block_index=1),
    }

    def found(**parts):
        made = trunk_findings("hosts.it", seen.tokenizer, **(sizes | {"host_tags": ["it"]} | parts))
        return [(one.what.partition(":")[0], one.state) for one in made]

    assert found() == [("marker", State.WRONG), ("chat template", State.OK)]
    seen.tokenizer.add_special_tokens({"extra_special_tokens": ["</s>", "\u320e"]})
    seen.tokenizer.eos_token = "</s>"
    num_ids = len(seen.tokenizer)
    assert found(num_ids=num_ids) == [("marker", State.OK), ("chat template", State.OK)]
    assert found(num_ids=num_ids - 1)[0] == ("marker", State.WRONG)  # the model lacks its row
    seen.tokenizer.eos_token = None
    assert found(num_ids=num_ids)[0] == ("marker", State.WRONG)


def test_a_hub_that_does_not_answer_is_waited_for_once(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert why_no_hub() == "http://127.0.0.1:9 cannot be reached (ConnectError)"
    monkeypatch.setattr(reach, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(reach, "get_session", lambda: held.wait(5))
    held = reach.threading.Event()
    assert why_no_hub() == "http://127.0.0.1:9 cannot be reached (it does not answer)"
    held.set()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert why_no_hub() == GIVEN
