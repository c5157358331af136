"""What the page asks when an example is opened in Read, asked of a server and noted.

Tokens, the explanations of what is coloured; and of the site that was evaluated, as of the one that
Read begins with, samples, controls, claims, and the scores of what is left without a sentence.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from interlingua.serving.explorer.gallery_doubts import doubted, false_swaps
from interlingua.serving.explorer.gallery_keys import asked_key, packed
from interlingua.serving.explorer.gallery_rule import Ask, evaluation_path
from interlingua.serving.explorer.gallery_sites import (
    Fields,
    Site,
    Token,
    mean_of,
    row_site,
    sentence_sites,
)

SAMPLES = {"n": 4, "temperature": 1.0, "rebuilt": True}  # as the page draws them
BASE64 = {"vector_form": "base64"}


class Recorder:
    """Asks a server and notes what it answers; the same is asked once."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._whole: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}

    def get(self, path: str) -> Any:
        """The answer to a GET."""
        return self._asked(asked_key("GET", path), path, None)

    def post(self, path: str, body: Fields) -> Any:
        """The answer to a POST."""
        return self._asked(asked_key("POST", path, body), path, body)

    def note(self, key: str, answer: Any) -> None:
        """Take something else for an answer."""
        self.answers[key] = packed(answer)

    def _asked(self, key: str, path: str, body: Fields | None) -> Any:
        if key not in self._whole:
            self._whole[key] = self._ask(path, body)
            self.note(key, self._whole[key])
        return self._whole[key]


class Example:
    """A row of an evaluation, as one bundle explains it."""

    def __init__(
        self,
        recorder: Recorder,
        model: Mapping[str, Any],
        row: Mapping[str, Any],
        evaluation: Mapping[str, Any],
        *,
        is_first: bool,
    ) -> None:
        """A row; only of the first bundle everything that Read begins with is recorded."""
        self._recorder, self._row, self._evaluation = recorder, row, evaluation
        self._is_first = is_first
        hosts = {one["tag"]: one for one in model["interlingua"]["hosts"]}
        self._host = hosts.get(row["host"])
        self._served = {"model": model["id"], "host": row["host"]}
        self._text: str = row["text"]
        self._tokens: list[Token] = []
        self._own: Site | None = None
        self.shown: dict[str, Any] | None = None

    def record(self) -> None:
        """Ask for all of it; `shown` is what a card shows, None where its text is not read."""
        if self._host is None or not self._host["is_here"]:
            return
        answer = self._post("/v1/tokens", {"text": self._text})
        self._tokens = answer["data"][0]["tokens"]
        num_read = min(len(self._tokens), answer["max_tokens"])
        own = row_site(self._row, self._tokens)
        if own is None or not own.is_read(num_read):
            return
        if self._host["reads"] == "sentence":
            self._coloured(num_read)
        self._own, self.shown = own, self._whole(own)

    def is_beside(self, other: "Example") -> bool:
        """Whether the two are compared: one place in one passage, of another host or bundle."""
        place = ("passage_id", "position", "span_end")
        is_same = all(self._row[name] == other._row[name] for name in place)
        pairs = [(self._served[name], other._served[name]) for name in ("model", "host")]
        return is_same and sum(one == another for one, another in pairs) == 1

    def score(self, other: "Example") -> None:
        """Ask how well the explanation of another stands for the own activation."""
        if self._own and other.shown and other.shown["explanation"]:
            self._score(other.shown["explanation"], self._own)

    def _coloured(self, num_read: int) -> None:
        sites = sentence_sites(self._text, self._tokens, num_read)
        for site in sites:
            self._greedy(site)
        if self._is_first and self._host and sites:
            self._whole(sites[min(self._host["reads_from"], len(sites) - 1)])

    def _greedy(self, site: Site) -> Any:
        answer = self._post("/v1/roundtrip", self._fields(site))
        return answer["data"][0]["explanations"][0]

    def _whole(self, site: Site) -> dict[str, Any]:
        """All that the panel of a site shows."""
        fields, greedy = self._fields(site), self._greedy(site)
        drawn = self._post("/v1/roundtrip", {**fields, **SAMPLES, **BASE64})
        controls = self._post("/v1/controls", {**fields, **self._passage(site)})
        texts = [greedy, *drawn["data"][0]["explanations"]]
        clauses = [self._clauses(one["explanation"], site) for one in texts]
        for text in self._doubts(greedy["explanation"], site):
            self._score(text, site)
        shown = ("explanation", "raw_text", "fve_centred_train", "denominator", "null_percentile")
        return {
            "site": site.key,
            **{name: greedy[name] for name in shown},
            "clauses": clauses[0],
            "controls": [
                {name: one[name] for name in ("name", "fve_centred_train")}
                for one in controls["data"][0]["controls"]
            ],
        }

    def _score(self, text: str, site: Site) -> None:
        vectors = self._vectors(site)
        self._post("/v1/score", {"explanations": [text], "activations": vectors})

    def _doubts(self, explanation: str | None, site: Site) -> Iterator[str]:
        """The texts by which an explanation is doubted; false claims for the row itself alone."""
        yield from doubted(explanation)
        if self._is_first and site == row_site(self._row, self._tokens):
            kinds = self._evaluation["kinds"]
            yield from false_swaps(explanation, self._row["facts"], kinds)

    def _fields(self, site: Site) -> Fields:
        """How the page asks for a site."""
        if site.last is not None:
            return {"activations": self._vectors(site)}
        return {"text": self._text, "positions": site.positions}

    def _passage(self, site: Site) -> Fields:
        if site.first is None or site.last is None:
            return {}
        start, end = self._tokens[site.first]["start"], self._tokens[site.last]["end"]
        return {"passage": self._text[start:end]}

    def _vectors(self, site: Site) -> Any:
        """The activation of a site; where it is of several tokens, their mean is noted."""
        body = {**self._served, "text": self._text, "positions": site.positions, **BASE64}
        answer = self._recorder.post("/v1/activations", body)
        (text,) = answer["data"]
        vectors = mean_of(text["activations"])
        # The page takes the mean of the rows that it gets: of one row that is the row, bit for bit.
        data = [{"index": 0, "positions": text["positions"], "activations": vectors}]
        self._recorder.note(asked_key("POST", "/v1/activations", body), {**answer, "data": data})
        return vectors

    def _clauses(self, text: str | None, site: Site) -> list[Any]:
        """The clauses of a text with what they name; none where nothing is known to be true."""
        if text is None or not self._evaluation["has_facts"]:
            return []
        path = f"{evaluation_path(self._evaluation['name'])}/claims"
        body = {"passage_id": self._row["passage_id"], "texts": [text]}
        is_row = self._row["span_end"] is not None and site == row_site(self._row, self._tokens)
        if is_row:
            body["position"] = self._row["position"]
        found: list[Any] = self._recorder.post(path, body)["data"][0]["clauses"]
        return found

    def _post(self, path: str, body: Fields) -> Any:
        return self._recorder.post(path, {**self._served, **body})
