"""Every number that a page prints is found again in the recorded rows, by other code.

Nothing of `core` or `report` is imported: parquet, json and csv are read as any reader would.
"""

import csv
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from interlingua.published.results import PAPER_BASELINE, PUBLISHED_V6

pytestmark = pytest.mark.slow

FVE = {
    "fve_centred_own": ("nmse", "own_variance"),
    "fve_centred_category": ("nmse", "category_variance"),
    "fve_linear_own": ("linear_error", "own_variance"),
    "fve_mean_direction": ("nmse", "mean_direction_nmse"),
    "fve_uncentred": ("uncentred_error", "uncentred_variance"),
    "shuffled_fve_centred_own": ("shuffled_nmse", "own_variance"),
}
NLL = {"sampled": "nll_own", "shuffled_vectors": "nll_shuffled", "zero_vector": "nll_zero"}
STUDENT = {2: 12.7062047, 4: 3.1824463}  # two-sided 95%, one degree of freedom less
EXACT, LOOSE = 1e-9, 0.012


class Printed(NamedTuple):
    host: str
    predictor: str
    metric: str
    covers: str
    value: float
    low: float | None
    high: float | None


class Reader(HTMLParser):
    """Collects the numbers of a page, and the data of its explanation browser."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[Printed] = []
        self.explanations = ""
        self._is_in_data = False

    def handle_starttag(self, tag, attrs) -> None:
        found = dict(attrs)
        self._is_in_data = found.get("id") == "explanations-data"
        if "data-metric" in found:
            ends = (found.get("data-low"), found.get("data-high"))
            low, high = (None if end is None else float(end) for end in ends)
            name = found["data-metric"].split("|")
            self.numbers.append(Printed(*name, float(found["data-value"]), low, high))

    def handle_endtag(self, tag) -> None:
        self._is_in_data = False

    def handle_data(self, data) -> None:
        if self._is_in_data:
            self.explanations += data


class Recorded:
    """The rows as they lie on disk."""

    def __init__(self, root: Path) -> None:
        (self.folder,) = (root / "evaluation").iterdir()
        tables = {path.stem: pq.read_table(path) for path in self.folder.glob("rows/*.parquet")}
        self.columns = {
            host: {
                name: np.array(table[name].to_pylist(), dtype=object) for name in table.schema.names
            }
            for host, table in tables.items()
        }
        self.likelihood = pq.read_table(self.folder / "likelihood.parquet").to_pylist()
        self.roles = {host: columns["role"][0] for host, columns in self.columns.items()}

    def rows(self, host: str, predictor: str) -> dict[str, np.ndarray]:
        columns = self.columns[host]
        return {name: column[columns["predictor"] == predictor] for name, column in columns.items()}

    def members(self, group: str) -> list[str]:
        wanted = {"mean trained": {"trained"}, "mean held out": {"held out"}}
        roles = wanted.get(group, {"trained", "held out"})
        return [host for host, role in self.roles.items() if role in roles]

    def value(self, host: str, predictor: str, metric: str, weights=None) -> float:
        if host == "trained - held out":
            left, right = (self.value(f"mean {g}", predictor, metric) for g in host.split(" - "))
            return left - right
        if host.startswith("mean "):
            values = [self.value(one, predictor, metric, weights) for one in self.members(host)]
            return float(np.mean(values))
        if " - " in predictor:
            left, right = (self.value(host, one, metric, weights) for one in predictor.split(" - "))
            return left - right
        if metric in ("nll_per_token", "perplexity"):
            own = [row for row in self.likelihood if row["host"] == host]
            nll = sum(row[NLL[predictor]] for row in own) / sum(row["num_tokens"] for row in own)
            return float(nll if metric == "nll_per_token" else np.exp(nll))
        rows = self.rows(host, predictor)
        if weights is not None:
            times = np.array([weights[one] for one in rows["passage_id"]])
            above, below = (rows[name].astype(float) * times for name in FVE[metric])
            return float(1 - above.sum() / below.sum())
        return value_of(rows, metric)


def value_of(rows: dict[str, np.ndarray], metric: str) -> float:
    if metric in FVE:
        above, below = (rows[name].astype(float) for name in FVE[metric])
        return float(1 - above.sum() / below.sum())
    texts = [text for text in rows["explanation"] if text is not None]
    if metric == "tag_failure_share":
        return 1 - len(texts) / len(rows["explanation"])
    if metric == "unique_share":
        return len(set(texts)) / len(texts)
    if metric == "retrieval_top1":
        return float(np.mean(rows["rank"] == 1))
    if metric == "worded_share":
        return float(rows["num_worded"].sum() / rows["num_clauses"].sum())
    if metric == "all_true_share":
        pairs = zip(rows["said"], rows["true"], strict=True)
        return float(np.mean([{*said} <= {*true} for said, true in pairs if len(said)]))
    measure, kind = metric.split("/")
    wanted = "" if kind == "all" else f"{kind}="
    said, true = (
        [{fact for fact in facts if fact.startswith(wanted)} for facts in rows[name]]
        for name in ("said", "true")
    )
    both = sum(len(one & other) for one, other in zip(said, true, strict=True))
    return both / sum(map(len, said if measure == "precision" else true))


def recorded_value(root: Path, one: Printed) -> float:
    """A number of the records: of a gate, an oracle or a cost."""
    records = [json.loads(path.read_text()) for path in root.glob("**/artifact.json")]
    if one.predictor == "oracle":
        (room,) = (r for r in records if r["kind"] == "oracle" and r["label"] == one.host)
        return room["metrics"][one.metric]
    if one.metric == "gate":
        (evaluation,) = (r for r in records if r["kind"] == "evaluation")
        (gate,) = (g for g in evaluation["metrics"]["gates"] if g["name"] == one.predictor)
        return gate["value"]
    own = [record for record in records if record["kind"] == one.host]
    seconds = [record["seconds"] for record in own]
    costs = {"stages": len(own), "seconds_sum": sum(seconds), "seconds_longest": max(seconds)}
    return costs[one.metric] if one.metric in costs else max(r["peak_bytes"] for r in own)


def expected(root: Path, recorded: Recorded, one: Printed) -> float:
    if one.covers == "published":
        return (
            PUBLISHED_V6[one.host.removeprefix("toy-")]
            if one.predictor == "published v6"
            else PAPER_BASELINE
        )
    if one.covers == "record":
        return recorded_value(root, one)
    if one.covers == "row":  # of an example
        rows = recorded.rows(one.host, one.predictor)
        _, passage_id, position, sample = one.metric.split(":")
        found = (rows["passage_id"] == passage_id) & (rows["position"] == int(position))
        (nmse,) = rows["nmse"][found & (rows["sample"] == int(sample))]
        return float(1 - nmse / rows["own_variance"].astype(float).mean())
    if one.covers.startswith("confusion"):
        return confused(recorded, one)
    if one.covers == "count":
        columns = list(recorded.columns.values())
        ids = {passage_id for each in columns for passage_id in each["passage_id"]}
        num_rows = sum(len(each["host"]) for each in columns)
        counts = {"num_passages": len(ids), "num_hosts": len(columns), "num_rows": num_rows}
        counts["num_rows_of_a_host"] = sum(columns[0]["predictor"] == "greedy")
        return counts[one.metric]
    for row in methods(recorded.folder):
        if (row["fit"], row["predictor"], row["metric"]) == (one.host, one.predictor, one.metric):
            return float(row["value"])
    return recorded.value(one.host, one.predictor, one.metric)


def confused(recorded: Recorded, one: Printed) -> float:
    """How often a value is named in the place of the true one, or its share of what is named."""
    kind, true, named = one.metric.split(":")
    all_rows = [recorded.rows(host, one.predictor) for host in recorded.columns]
    named_there = [
        fact.partition("=")[2]
        for rows in all_rows
        for said, holds in zip(rows["said"], rows["true"], strict=True)
        if f"{kind}={true}" in list(holds)
        for fact in said
        if fact.startswith(f"{kind}=")
    ]
    count = named_there.count(named)
    return count / len(named_there) if one.covers == "confusion share" else count


def methods(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / "methods.csv").open(newline="") as file:
        yield from csv.DictReader(file)


@pytest.fixture
def page(reported) -> tuple[Path, Reader, Recorded]:
    root = reported()
    reader = Reader()
    reader.feed((root / "report.html").read_text())
    return root, reader, Recorded(root)


def test_every_printed_number_is_that_of_the_rows(page) -> None:
    root, reader, recorded = page
    predictors = {one.predictor for one in reader.numbers}
    assert len(reader.numbers) > 400
    assert {"nll_per_token", "perplexity"} <= {one.metric for one in reader.numbers}
    assert predictors >= {
        "sampled",
        "greedy",
        "teacher",
        "constant_vector",
        "sampled - teacher",
        "oracle",
    }
    for one in reader.numbers:
        assert one.value == pytest.approx(expected(root, recorded, one), abs=EXACT), one


def test_the_explanations_carry_the_scores_of_their_rows(page) -> None:
    _, reader, recorded = page
    shown = json.loads(reader.explanations)
    assert shown["hosts"] == [
        "toy-qwen3-1p7b",
        "toy-bloom-560m",
        "toy-gpt2-medium",
        "toy-lfm-7b",
        "toy-phi-1p5",
    ]
    for name, entries in shown["rows"].items():
        rows = recorded.rows(*name.split("|"))
        mean_variance = rows["own_variance"].astype(float).mean()
        keys = zip(rows["passage_id"], rows["position"], rows["sample"], strict=True)
        fve = dict(zip(keys, 1 - rows["nmse"].astype(float) / mean_variance, strict=True))
        for entry in entries:
            key = (entry["passage"], entry["position"], entry["sample"])
            assert entry["fve"] == pytest.approx(fve[key], abs=EXACT)


@pytest.mark.parametrize(
    ("host", "predictor"),
    [("toy-gpt2-medium", "sampled"), ("mean all", "sampled - teacher"), ("mean all", "greedy")],
)
def test_intervals_over_passages_are_those_of_another_bootstrap(page, host, predictor) -> None:
    _, reader, recorded = page
    names = ("fve_centred_own", "passages")
    one = next(
        n
        for n in reader.numbers
        if (n.host, n.predictor, n.metric, n.covers) == (host, predictor, *names)
    )
    passages = sorted(set(recorded.columns["toy-gpt2-medium"]["passage_id"]))
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(300):
        times = rng.multinomial(len(passages), np.full(len(passages), 1 / len(passages)))
        drawn.append(
            recorded.value(host, predictor, names[0], dict(zip(passages, times, strict=True)))
        )
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert one.low == pytest.approx(low, abs=LOOSE)
    assert one.high == pytest.approx(high, abs=LOOSE)


@pytest.mark.parametrize("group", ["mean trained", "mean held out", "mean all"])
def test_intervals_over_hosts_are_students(page, group) -> None:
    """In the table; the page gives no interval of so few hosts, but their number."""
    root, reader, recorded = page
    (one,) = {
        n for n in reader.numbers if n[:4] == (group, "greedy", "fve_centred_own", "hosts")
    }  # fmt: skip
    values = [recorded.value(host, one.predictor, one.metric) for host in recorded.members(group)]
    half = STUDENT[len(values)] * np.std(values, ddof=1) / np.sqrt(len(values))
    with (root / "numbers.csv").open(newline="") as file:
        (raw,) = (row for row in csv.DictReader(file) if tuple(row.values())[:3] == one[:3]
                  and row["covers"] == "hosts")  # fmt: skip
    ends = (float(raw["low"]), float(raw["high"]))
    assert ends == pytest.approx((one.value - half, one.value + half), abs=1e-7)
    assert (one.low, one.high) == (None, None)
    cell = f'data-metric="{"|".join(one[:4])}"[^>]*>[^<]*<span class="doubt">(.*?)</span>'
    assert set(re.findall(re.sub(r"[|]", r"\\|", cell), (root / "report.html").read_text())) == {
        f"n={len(values)} hosts"
    }


def test_no_interval_leaves_what_is_possible(page) -> None:
    _, reader, _ = page
    for one in reader.numbers:
        if one.low is not None and one.metric.startswith("fve") and " - " not in one.predictor:
            assert one.high <= 1 or one.host == "trained - held out", one
        if one.low is not None and one.metric.endswith(("_share", "/all", "/topic", "top1")):
            assert one.low >= (-1 if " - " in one.host + one.predictor else 0) and one.high <= 1


def test_the_table_beside_the_page_is_that_of_the_evaluation(page) -> None:
    root, _, recorded = page
    assert (root / "numbers.csv").read_text() == (recorded.folder / "numbers.csv").read_text()
