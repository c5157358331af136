"""The rows that fit a request, in its order. Knows no HTTP.

No step here is Python a row: columns are compared as a whole. N rows, A activations, P passages.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from interlingua.serving.backend import Refused
from interlingua.serving.explorer.columns import Texts, lowered
from interlingua.serving.explorer.requests import RowsRequest
from interlingua.serving.explorer.table import Passages, RowTable

MOST_WORDS = 16
MOST_NAMED = 20  # of what there is instead of a name that is not known
_WORD = re.compile(r'"([^"]+)"|(\S+)')


def found_rows(table: RowTable, asked: RowsRequest) -> np.ndarray:
    """The numbers of all rows that fit, in the order that is asked for."""
    order_N = table.orders[asked.order]
    fits_N = np.ones(len(table), bool)
    for condition_N in _conditions(table, asked):
        fits_N &= condition_N
    return order_N[fits_N[order_N]]


def found_passages(passages: Passages, search: str | None) -> np.ndarray:
    """The places of all passages whose text has the words, in the order of their ids."""
    fits_P = np.ones(len(passages.ids), bool)
    for word in words_of(search):
        fits_P &= pc.match_substring(passages.texts.lowered, word).to_numpy(zero_copy_only=False)
    return np.flatnonzero(fits_P)


def facts_at(table: RowTable, passage_id: str, position: int | None) -> Mapping[str, str]:
    """The facts of a passage, or those of its rows at a position."""
    place = passage_of(table.passages, passage_id, "passage_id")
    if position is None:
        return table.passages.facts[place]
    is_there_N = (table.passages.texts.code_N == place) & (table.position_N == position)
    if not is_there_N.any():
        raise Refused("position", f"position is {position}; no row of {passage_id} is there")
    activation = int(table.activation_N[is_there_N.argmax()])
    pairs = (fact.partition("=") for fact in table.facts.of_activation(activation))
    return {kind: value for kind, _, value in pairs}


def words_of(search: str | None) -> list[str]:
    """The words of a search in lower case, a quoted phrase being one; Refused above some."""
    words = [phrase or word for phrase, word in _WORD.findall(lowered(search or ""))]
    if len(words) > MOST_WORDS:
        raise Refused("search", f"search has {len(words)} words; at most {MOST_WORDS} are searched")
    return words


def code_of(name: str, field: str, known: Sequence[str]) -> int:
    """The place of a name; raises Refused where it is not known."""
    if name not in known:
        left = len(known) - MOST_NAMED
        more = f" and {left} more" if left > 0 else ""
        raise Refused(
            field, f"{field} is {name!a}; there are: {', '.join(known[:MOST_NAMED])}{more}"
        )
    return known.index(name)


def passage_of(passages: Passages, passage_id: str, field: str) -> int:
    """The place of a passage; raises Refused where the evaluation has no such."""
    place = bisect_left(passages.ids, passage_id)
    if passages.ids[place : place + 1] != (passage_id,):
        raise Refused(field, f"{field} is {passage_id!a}; no row is of such a passage")
    return place


def _conditions(table: RowTable, asked: RowsRequest) -> Iterator[np.ndarray]:
    """[N] for every condition."""
    if asked.host is not None:
        yield table.hosts.code_N == code_of(asked.host, "host", table.hosts.names)
    if asked.predictor is not None:
        known = table.predictors.names
        yield table.predictors.code_N == code_of(asked.predictor, "predictor", known)
    if asked.is_same_passage is not None:
        place = passage_of(table.passages, asked.is_same_passage, "is_same_passage")
        yield table.passages.texts.code_N == place
    if asked.is_failed is not None:
        yield table.is_failed_N == asked.is_failed
    # A row without a number is within no bounds.
    if asked.min_fve is not None:
        yield table.fve_N >= asked.min_fve
    if asked.max_fve is not None:
        yield table.fve_N <= asked.max_fve
    if asked.claims == "any_false":
        yield table.facts.num_false_N > 0
    if asked.claims == "all_true":
        yield (table.facts.num_false_N == 0) & (table.facts.stated.lengths() > 0)
    for word in words_of(asked.search):
        yield _with_word(table.explanations, table.passages.texts, word, asked.field)
    yield from _with_facts(table, asked.facts or ())


def _with_word(explanations: Texts, passages: Texts, word: str, field: str) -> np.ndarray:
    if field == "explanation":
        return explanations.holding(word)
    if field == "passage":
        return passages.holding(word)
    return explanations.holding(word) | passages.holding(word)


def _with_facts(table: RowTable, asked: Sequence[str]) -> Iterator[np.ndarray]:
    """[N] for every kind that is named: whether one of its named values holds."""
    facts = table.facts
    has_by_kind: dict[str, np.ndarray] = {}
    for number, fact in enumerate(asked):
        field = f"facts[{number}]"
        kind, _, value = fact.partition("=")
        code_of(kind, field, list(facts.kinds))
        code_of(value, field, facts.kinds[kind])
        has_A = facts.true.have(facts.names.index(fact))
        has_by_kind[kind] = has_by_kind.get(kind, False) | has_A
    for has_A in has_by_kind.values():
        yield has_A[table.activation_N]
