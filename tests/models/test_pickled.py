"""Pickled weights become the same safetensors, once; a pickle that holds code is refused."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.models.gguf_files import small_llama

from interlingua.models.hosts.host import load_host
from interlingua.models.hosts.hub import NotFetched
from interlingua.models.hosts.pickled import convert_pickled

WEIGHTS = {
    "embedding.weight": torch.arange(12.0).reshape(3, 4),
    "norm.weight": torch.tensor([1.0, float("nan")], dtype=torch.bfloat16),
    "turned.weight": torch.arange(6.0).reshape(2, 3).T,
    "scale": torch.tensor(2.0),
}
WEIGHTS["head.weight"] = WEIGHTS["embedding.weight"]  # tied: one memory, two names


class Code:
    """Unpickled, it runs a command."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == one.dtype and torch.equal(found[name].nan_to_num(7), one.nan_to_num(7))
        for name, one in expected.items()
    )


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before torch 1.6"])
def test_one_file(tmp_path, is_zip):
    path = tmp_path / "pytorch_model.bin"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=is_zip)
    convert_pickled(tmp_path, [path.name], "it")
    assert [one.name for one in tmp_path.iterdir()] == ["model.safetensors"]
    assert same(load_file(tmp_path / "model.safetensors"), WEIGHTS)


def test_several_files_and_one_that_was_converted_before(tmp_path):
    names = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    parts = [{"a": torch.ones(2)}, {"b": torch.zeros(3)}]
    for name, part in zip(names, parts, strict=True):
        torch.save(part, tmp_path / name)
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}")
    convert_pickled(tmp_path, names[:1], "it")
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}")
    convert_pickled(tmp_path, names, "it")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == {
        "a": "model-00001-of-00002.safetensors",
        "b": "model-00002-of-00002.safetensors",
    }
    assert not list(tmp_path.glob("*.bin*"))
    assert same(load_file(tmp_path / index["weight_map"]["b"]), parts[1])


def test_the_model_of_it_is_the_same(tmp_path):
    model = small_llama(64, is_tied=True)
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    ids_BT = torch.arange(8)[None]
    with torch.no_grad():
        pickled = load_host(str(tmp_path), dtype="float32").model(ids_BT).logits
        convert_pickled(tmp_path, ["pytorch_model.bin"], "it")
        assert not (tmp_path / "pytorch_model.bin").exists()
        converted = load_host(str(tmp_path), dtype="float32").model(ids_BT).logits
    assert torch.equal(pickled, converted) and torch.equal(converted, model(ids_BT).logits)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_is_refused_and_not_run(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pytorch_model.bin"
    if how == "torch":
        torch.save({"a": torch.ones(2), "b": Code()}, path)
    else:
        path.write_bytes(pickle.dumps({"b": Code()}, protocol=2))
    with pytest.raises(NotFetched) as caught:
        convert_pickled(tmp_path, [path.name], "model org/tiny")
    line = str(caught.value)
    assert line.startswith("pytorch_model.bin of model org/tiny ") and "\n" not in line
    assert "name a model with safetensors" in line and not Path("owned").exists()
    assert "holds code beside weights (posix.mkdir), which is never run" in line


def test_half_a_file_is_refused(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(NotFetched, match="of it is no file of weights"):
        convert_pickled(tmp_path, [path.name], "it")
