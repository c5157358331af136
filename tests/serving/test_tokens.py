"""Tokens know their characters, whatever a text is made of and whatever tokenizer reads it."""

import asyncio
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlingua.models.hosts.sites import Encoded
from interlingua.serving.backend import Message, Prompt, Token
from interlingua.serving.engines.chat import Rendered, rendered
from interlingua.serving.engines.tokens import tokens_of
from interlingua.specs.world import ChatFormat, TokenizerKind, TokenizerSpec
from interlingua.world.tokenizers import trained_tokenizer

SEEN = [
    "dear friend, the farmer happily carried a basket. there was rain.",
    "report from Velsk. the guard moored the ship, and nobody sang: 12 of 34 baskets.",
]
# What a tokenizer or a program that counts characters may get wrong.
ODD = [
    "\N{GRINNING FACE}", "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}", "\N{THUMBS UP SIGN}\U0001f3fd",
    "\U0001f1e6\U0001f1f9", "\u05e9\u05dc\u05d5\u05dd", "\u200f\u0639\u0631\u0628\u064a\u202e",
    "e\u0301", "q\u0307\u0323", "\u0344", "\u0301", "\ufb01", "\u338f", "\u6f22\u5b57",
    "\u304b\u3099", "\ud55c\uad6d", "\u1112\u1161\u11ab", "\n", "\r\n", "\t", " ", "  ", "\u2581",
    "\u2028", "\x00", "\x85", "\ufeff", "\u0130", "<b>", "&amp;", "</explanation>", "<s>", "</s>",
    "<|im_start|>", "the farmer", "rain.", "12",
]  # fmt: skip
texts = st.lists(st.sampled_from(ODD) | st.text(max_size=4), min_size=1).map("".join)
BYTES = [kind for kind in TokenizerKind if kind is not TokenizerKind.UNIGRAM]
kinds = pytest.mark.parametrize("kind", TokenizerKind)


@cache
def tokenizer_of(kind: TokenizerKind) -> Any:
    spec = TokenizerSpec(kind=kind, vocab_size=600, has_bos=True, chat=ChatFormat.CHATML)
    return trained_tokenizer(spec, SEEN)


def tokens(tokenizer: Any, prompt: Rendered) -> tuple[Token, ...]:
    """As the engine asks for them."""
    encoded = tokenizer(
        prompt.text, return_offsets_mapping=True, add_special_tokens=not prompt.is_chat
    )
    return tokens_of(prompt, Encoded(encoded["input_ids"], encoded["offset_mapping"]), tokenizer)


def check(text: str, found: tuple[Token, ...]) -> None:
    for token in found:
        assert 0 <= token.start <= token.end <= len(text)
        if token.start < token.end:
            assert text[token.start : token.end] == token.text
    for one, following in pairwise(found):
        if following.fragment_index:
            assert (following.start, following.end) == (one.start, one.end)
        else:
            assert one.end <= following.start


@kinds
@given(text=texts)
@example("a \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} b")
@example("e\u0301 <s>x</s> ")
def test_spans_are_the_characters_of_tokens_and_go_forward(kind: TokenizerKind, text: str) -> None:
    found = tokens(tokenizer_of(kind), Rendered(text=text))
    check(text, found)
    assert (found[0].text, found[0].start, found[0].end) == ("<s>", 0, 0)  # it was added


@pytest.mark.parametrize("kind", BYTES)
def test_an_emoji_of_several_tokens_has_one_span_of_one_code_point(kind: TokenizerKind) -> None:
    text = "rain \N{GRINNING FACE}."
    parts = [token for token in tokens(tokenizer_of(kind), Rendered(text=text)) if token.start == 5]
    assert [(one.start, one.end, one.text) for one in parts] == [(5, 6, text[5])] * 4
    assert [(one.fragment_index, one.fragment_count) for one in parts] == [
        (place, 4) for place in range(4)
    ]


@kinds
@given(contents=st.lists(texts, min_size=1, max_size=3))
def test_spans_of_a_chat_are_of_the_text_that_the_template_made(
    kind: TokenizerKind, contents: list[str]
) -> None:
    tokenizer = tokenizer_of(kind)
    messages = tuple(Message(role="user", content=content) for content in contents)
    prompt = rendered("host", tokenizer, Prompt(messages=messages))
    found = tokens(tokenizer, prompt)
    check(prompt.text, found)
    opened = [token for token in found if token.text == "<|im_start|>"]
    # A special token that the text holds is characters of it.
    assert len(opened) > len(contents)
    assert all(prompt.text[one.start : one.end] == one.text for one in opened)


@pytest.mark.slow
def test_the_tokens_that_are_answered_have_the_characters_of_the_text(backend) -> None:
    text = " ".join(ODD)
    for host in backend.card.hosts:
        reading = asyncio.run(backend.tokenize(host, Prompt(text=text)))
        assert reading.text == text
        check(text, reading.tokens)
        assert reading.tokens[-1].end == len(text)


def test_a_token_that_was_added_stands_behind_the_one_before_it() -> None:
    encoded = Encoded([1, 5, 6, 2], [(0, 0), (0, 3), (3, 5), (0, 0)])
    found = tokens_of(Rendered(text="abcde"), encoded, tokenizer_of(TokenizerKind.BYTE_BPE))
    assert [(one.start, one.end) for one in found] == [(0, 0), (0, 3), (3, 5), (5, 5)]


def test_without_offsets_no_token_has_characters() -> None:
    found = tokens_of(Rendered(text="ab"), Encoded([5, 6]), tokenizer_of(TokenizerKind.BYTE_BPE))
    assert [(one.start, one.end) for one in found] == [(0, 0), (0, 0)]
