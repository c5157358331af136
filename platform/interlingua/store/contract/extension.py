"""Reads and writes the content of our own key of a sidecar. Knows no other key, and no file.

The public schema has other keys and keeps what it does not know; here an unknown key is an error.
"""

from dataclasses import fields
from enum import StrEnum
from typing import assert_never

from interlingua.specs.injection import (
    AfterBlock,
    BosRule,
    Centring,
    InjectionRule,
    Readout,
    Replace,
)
from interlingua.store.contract.sections import Section
from interlingua.store.contract.statement import AffineFile, Extension

OUR_KEY = "interlingua"


class RuleName(StrEnum):
    """The injection rules as sidecars name them."""

    REPLACE = "replace"
    KARVONEN = "karvonen"  # AfterBlock; which block is said beside it, under `after_block`


def read_extension(root: Section) -> Extension | None:
    """The content of our key of a sidecar; None where it has none."""
    if not root.has(OUR_KEY):
        return None
    ours = root.section(OUR_KEY)
    affine = ours.section("affine")
    is_affine = affine.has("file", "sha256")
    extension = Extension(
        injection_rule=_rule(ours),
        num_slots=ours.need(int, "num_slots"),
        marker_is_added=ours.need(bool, "marker_is_added"),
        centring=ours.choice(Centring, "centring"),
        affine=_affine(affine) if is_affine else None,
        ar_readout=ours.choice(Readout, "ar_readout"),
        ar_bos=ours.choice(BosRule, "ar_bos"),
        train_variance=ours.number("train_variance"),
        tokenizer_sha256=ours.take(str, "tokenizer_sha256"),
        chat_template_sha256=ours.take(str, "chat_template_sha256"),
    )
    # A key that is misspelt, or of a later version, would otherwise be ignored without a word.
    if ours.rest():
        known = ", ".join(extension_tree(extension))
        raise ValueError(f"{OUR_KEY} has the unknown keys {ours.rest()}; known: {known}")
    return extension


def extension_tree(extension: Extension) -> dict[str, object]:
    """The mapping that is written under our key."""
    names = [f.name for f in fields(extension) if f.name != "injection_rule"]
    others = {name: _plain(getattr(extension, name)) for name in names}
    return {**_rule_tree(extension.injection_rule), **others}


def _rule(ours: Section) -> InjectionRule:
    name, block = ours.choice(RuleName, "injection_rule"), ours.take(int, "after_block")
    match name, block:
        case RuleName.REPLACE, None:
            return Replace()
        case RuleName.KARVONEN, int() as index:
            return AfterBlock(index=index)
        case _:
            raise ValueError(
                f"{ours.at('after_block')} is {block!r} with the injection_rule {name}; "
                "karvonen needs a block, replace has none"
            )


def _affine(affine: Section) -> AffineFile:
    return AffineFile(file=affine.need(str, "file"), sha256=affine.need(str, "sha256"))


def _rule_tree(rule: InjectionRule) -> dict[str, object]:
    match rule:
        case Replace():
            return {"injection_rule": RuleName.REPLACE.value, "after_block": None}
        case AfterBlock(index=index):
            return {"injection_rule": RuleName.KARVONEN.value, "after_block": index}
        case _:
            assert_never(rule)


def _plain(value: object) -> object:
    if isinstance(value, AffineFile):
        return {"file": value.file, "sha256": value.sha256}
    return value.value if isinstance(value, Centring | Readout | BosRule) else value
