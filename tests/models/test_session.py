"""Samples join and leave between two steps, and every one is what it is alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.models.test_decoding import (
    EOS,
    GREEDY,
    PROMPT,
    SAMPLED,
    TAGS,
    WIDTH,
    Endless,
    Words,
    keys,
    vectors,
    verbalizer,
)

from interlingua.models.pair.prompts import AvPrompt
from interlingua.models.sampling.decoding import Decoder
from interlingua.models.sampling.drawing import draw, uniforms
from interlingua.models.sampling.running import Sample
from interlingua.models.sampling.session import MOST_BEGINNINGS

torch.set_num_threads(1)

LONG = AvPrompt(torch.tensor([5, 6, 7, 11, 12, 13, 50, 50, 8, 9]), torch.tensor([6, 7]))


def samples_of(spec, key, **options):
    return [
        Sample(uniforms_T=uniforms_T, temperature=spec.temperature, **options)
        for uniforms_T in uniforms([key], spec).numpy()
    ]


def alone(decoder, prompt, v_1D, key, spec):
    (row,) = decoder(prompt, v_1D, [key], spec)
    return [list(sample.ids) for sample in row]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("spec", [GREEDY, SAMPLED])
def test_whoever_joins_later_says_what_it_says_alone(tag, spec):
    """Prompts of two lengths, a new one every other step, and one that leaves in the middle."""
    av = verbalizer(tag)
    decoder, v_BD = Decoder(av, Endless()), vectors(6)
    asked = [(LONG if place % 2 else PROMPT, v_BD[[place]], f"row {place}") for place in range(6)]
    with decoder.evaluating():
        session, taken = decoder.session(), []
        for place, (prompt, v_1D, key) in enumerate(asked):
            taken.append(samples_of(spec, key))
            session.join(prompt, v_1D, taken[-1])
            session.step()
            if place == 3:
                session.leave(taken[1])
            session.step()
        while session.step():
            pass
    assert len(session) == 0
    left = len(taken[1][0].ids)
    for place, (prompt, v_1D, key) in enumerate(asked):
        found = [sample.ids for sample in taken[place]]
        expected = alone(decoder, prompt, v_1D, key, spec)
        if place == 1:
            assert 0 < left < spec.max_new_tokens
            expected = [ids[:left] for ids in expected]
        assert found == expected, f"{place}"


def test_log_probabilities_do_not_depend_on_who_is_there():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors(2)
    with decoder.evaluating():
        session = decoder.session()
        first, second = (samples_of(GREEDY, f"row {place}") for place in range(2))
        session.join(LONG, v_BD[:1], first)
        for _ in range(4):
            session.step()
        session.join(PROMPT, v_BD[1:], second)
        while session.step():
            pass
    ((expected,),) = decoder(PROMPT, v_BD[1:], ["row 1"], GREEDY)
    np.testing.assert_allclose(second[0].log_probs, expected.log_probs, atol=1e-5)


def test_the_cache_shrinks_to_what_is_still_read():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors(2)
    short = replace(GREEDY, max_new_tokens=3)
    with decoder.evaluating():
        session = decoder.session()
        session.join(LONG, v_BD[:1], samples_of(GREEDY, "row 0"))
        for _ in range(8):
            session.step()
        widths = []
        for turn in range(6):
            # Each ends before the next comes: the column cursor must not run away.
            session.join(PROMPT, v_BD[1:], samples_of(short, f"turn {turn}"))
            while len(session) and session.step():
                widths.append(max(layer.get_seq_length() for layer in session._cache.layers))
                if len(session) == 0:
                    break
    assert max(widths) <= len(LONG.ids_T) + GREEDY.max_new_tokens + 1


def test_what_prompts_begin_with_is_run_once_a_session(monkeypatch):
    av, v_BD = verbalizer(), vectors(3)
    decoder, begun, prefilled = Decoder(av, Endless()), [], av.prefilled

    def counted(prompt, num_rows, cache):
        begun.append(prompt)
        return prefilled(prompt, num_rows, cache)

    monkeypatch.setattr(av, "prefilled", counted)
    taken = [samples_of(GREEDY, f"row {place}") for place in range(3)]
    with decoder.evaluating():
        session = decoder.session()
        for place, prompt in enumerate((PROMPT, LONG, PROMPT)):
            session.join(prompt, v_BD[[place]], taken[place])
            session.step()
        while session.step():
            pass
    assert begun == [PROMPT, LONG]
    expected = alone(decoder, PROMPT, v_BD[[2]], "row 2", GREEDY)
    assert [sample.ids for sample in taken[2]] == expected


def test_a_session_holds_the_beginnings_of_few_prompts():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors(1)
    with decoder.evaluating():
        session = decoder.session()
        for first in range(MOST_BEGINNINGS + 3):
            prompt = AvPrompt(
                torch.cat([torch.tensor([5 + first]), PROMPT.ids_T]), PROMPT.positions_S + 1
            )
            session.join(prompt, v_BD, samples_of(GREEDY, "row 0"))
    assert len(session._beginnings) == MOST_BEGINNINGS


def test_ways_of_drawing_share_a_step():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors(3)
    specs = [GREEDY, replace(SAMPLED, samples=1), replace(SAMPLED, samples=1, temperature=0.5)]
    taken = [samples_of(spec, f"row {place}") for place, spec in enumerate(specs)]
    with decoder.evaluating():
        session = decoder.session()
        session.join(PROMPT, v_BD, [sample for one in taken for sample in one])
        while session.step():
            pass
    for place, spec in enumerate(specs):
        expected = alone(decoder, PROMPT, v_BD[[place]], f"row {place}", spec)
        assert [sample.ids for sample in taken[place]] == expected


@pytest.mark.parametrize("spec", [GREEDY, SAMPLED])
def test_banned_ids_are_never_drawn_and_the_rest_as_likely_as_before(spec):
    av, v_BD = verbalizer(), vectors()
    decoder = Decoder(av, Endless())
    free = decoder(PROMPT, v_BD, keys(), spec)
    banned = {sample.ids[0] for row in free for sample in row}
    banned_V = torch.zeros(120, dtype=torch.bool)
    banned_V[list(banned)] = True
    drawn = decoder(PROMPT, v_BD, keys(), spec, banned_V=banned_V)
    for row in drawn:
        for sample in row:
            assert banned.isdisjoint(sample.ids)
    # The probabilities are the model's own, those of banned ids among them.
    with torch.no_grad():
        ids_BT = torch.tensor([row[0].ids for row in drawn])
        nll_BT = av.nll(PROMPT, v_BD, ids_BT)
    found = np.array([row[0].log_probs for row in drawn])
    np.testing.assert_allclose(found, -nll_BT, atol=1e-5)


def test_where_nearly_all_is_banned_something_is_drawn():
    logits_RV = torch.full((2, 300), -400.0)
    logits_RV[:, 0] = 0.0
    banned_RV = torch.zeros(2, 300, dtype=torch.bool)
    banned_RV[:, 0] = True
    uniforms_R = torch.tensor([0.1, 0.9], dtype=torch.float64)
    for temperature in (0.0, 0.5, 1.0):
        ids_R, log_probs_R = draw(logits_RV, uniforms_R, temperature, banned_RV)
        assert 0 not in ids_R and torch.allclose(log_probs_R, torch.tensor(-400.0))


def test_a_prefix_is_read_as_if_it_had_been_drawn():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors()
    free = decoder(PROMPT, v_BD, keys(), GREEDY)
    for row, key, v_D in zip(free, keys(), v_BD, strict=True):
        first, *_ = row[0].ids
        fewer = replace(GREEDY, max_new_tokens=GREEDY.max_new_tokens - 1)
        ((found,),) = decoder(PROMPT, v_D[None], [key], fewer, prefix_ids=[first])
        assert [first, *found.ids] == list(row[0].ids)
        assert found.text == row[0].text


def test_a_tag_that_a_prefix_began_ends_the_text():
    decoder = Decoder(verbalizer(eos=EOS), Words())
    sample = Sample(uniforms_T=np.zeros(9), temperature=0.0, prefix_ids=(91, 92), ids=[93])
    assert decoder.ending.is_reached([sample]).tolist() == [True]


def test_what_is_drawn_is_handed_out_as_it_comes():
    decoder, seen = Decoder(verbalizer(), Endless()), {}
    drawn = decoder(
        PROMPT, vectors(2), keys(2), replace(SAMPLED, samples=2),
        on_drawn=lambda number, decoded: seen.setdefault(number, []).append(decoded.ids),
    )  # fmt: skip
    assert sorted(seen) == [0, 1, 2, 3]
    for number, sample in enumerate(sample for row in drawn for sample in row):
        assert seen[number] == [sample.ids[:end] for end in range(1, len(sample.ids) + 1)]


def test_an_empty_session_has_nothing_to_do():
    session = Decoder(verbalizer(), Endless()).session()
    assert session.step() == [] and len(session) == 0
    session.leave([])


def test_a_session_that_became_empty_begins_anew():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors(2)
    assert v_BD.shape == (2, WIDTH)
    with decoder.evaluating():
        session = decoder.session()
        for place in range(2):
            taken = samples_of(GREEDY, f"row {place}")
            session.join(PROMPT, v_BD[[place]], taken)
            while session.step():
                pass
            expected = alone(decoder, PROMPT, v_BD[[place]], f"row {place}", GREEDY)
            assert [sample.ids for sample in taken] == expected
