"""Our own key of a sidecar is read strictly, and spells the injection rule as it always did."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from interlingua.specs.injection import AfterBlock, BosRule, Centring, Readout, Replace
from interlingua.store.contract.extension import extension_tree
from interlingua.store.contract.file import SidecarError, read_sidecar, write_sidecar
from interlingua.store.contract.statement import AffineFile, Extension, ModelSidecar, Role

OURS = Extension(
    injection_rule=AfterBlock(index=1),
    num_slots=16,
    marker_is_added=True,
    centring=Centring.HOST_MEAN,
    affine=AffineFile(file="nla_affine.safetensors", sha256="ab" * 32),
    ar_readout=Readout.NORMALIZED,
    ar_bos=BosRule.PRESENT,
    train_variance=0.7335,
    tokenizer_sha256="cd" * 32,
    chat_template_sha256=None,
)


@pytest.mark.parametrize(
    ("rule", "name", "after_block"),
    [(Replace(), "replace", None), (AfterBlock(index=0), "karvonen", 0)],
)
def test_a_rule_is_two_keys_of_the_file(
    tmp_path: Path, rule: Replace | AfterBlock, name: str, after_block: int | None
) -> None:
    extension = replace(OURS, injection_rule=rule)
    path = write_sidecar(ModelSidecar(role=Role.AV, d_model=8, extension=extension), tmp_path)
    stored = yaml.safe_load(path.read_text())["interlingua"]
    assert list(stored)[:3] == ["injection_rule", "after_block", "num_slots"]
    assert (stored["injection_rule"], stored["after_block"]) == (name, after_block)
    assert read_sidecar(path).extension == extension


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layer": 1},
            r"the unknown keys \{'layer': 1\}; known: injection_rule, after_block, num_",
        ),
        ({"affine": {"file": "a"}}, r"interlingua\.affine\.sha256 is missing"),
        ({"affine": {"file": "a", "sha256": "b", "dtype": "c"}}, "unknown keys .*dtype"),
        (
            {"after_block": None},
            r"interlingua\.after_block is None with the injection_rule karvonen; karvonen needs",
        ),
        ({"injection_rule": "replace"}, "after_block is 1 with .* replace; .* replace has none"),
        ({"after_block": -1}, r"AfterBlock\.index is -1; it must be zero or more"),
        ({"num_slots": 0}, r"Extension\.num_slots is 0; it must be positive"),
        ({"num_slots": None}, r"interlingua\.num_slots is missing"),
        ({"injection_rule": "add"}, "injection_rule is 'add'; allowed: replace, karvonen"),
        ({"train_variance": 2}, r"Extension\.train_variance is 2\.0"),
    ],
)
def test_our_own_key_is_read_strictly(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    sidecar = ModelSidecar(role=Role.AV, d_model=8, extension=OURS)
    path = write_sidecar(sidecar, tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["interlingua"] |= change
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(SidecarError, match=message):
        read_sidecar(path)


def test_a_rule_that_nobody_wrote_is_not_written_as_another_one() -> None:
    with pytest.raises(AssertionError, match="another rule"):
        extension_tree(replace(OURS, injection_rule="another rule"))  # type: ignore[arg-type]
