"""Tables of the world's hosts from their recorded metrics. Knows no model and no stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from interlingua.report.numbers import Number
from interlingua.report.tables.doubt import doubt_of

Metrics = Mapping[str, Any]


def exam_table(metrics_by_tag: Mapping[str, Metrics], roles: Mapping[str, str]) -> Table:
    """Loss against the unigram entropy, perplexity and arithmetic of every host."""
    some = next(iter(metrics_by_tag.values()))
    table = Table(
        title="Hosts on split dev",
        caption=(
            f"{some['dev_nll_n']} passages a host; intervals: 95%, over passages, one trained "
            "model a host (no seeds). arithmetic: greedy, the number after ####; constant: what "
            "the commonest answer would score"
        ),
    )
    for name in ("host", "role", "parameters", "tokens/passage", "nll/token", "unigram entropy",
                 "ratio", "perplexity", "arithmetic", "n", "constant"):  # fmt: skip
        table.add_column(name, justify="left" if name in {"host", "role"} else "right")
    for tag, metrics in metrics_by_tag.items():
        table.add_row(
            tag,
            roles[tag],
            f"{metrics['num_parameters']:,}",
            f"{metrics['tokens_per_passage']:.0f}",
            with_interval(metrics, "dev_nll"),
            f"{metrics['unigram_entropy']:.2f}",
            f"{metrics['nll_over_entropy']:.2f}",
            f"{metrics['perplexity']:.2f}",
            with_interval(metrics, "arithmetic") if "arithmetic" in metrics else "-",
            str(metrics.get("arithmetic_n", 0)),
            f"{metrics['arithmetic_constant_answer']:.2f}" if "arithmetic" in metrics else "-",
        )
    return table


def oracle_table(metrics_by_tag: Mapping[str, Metrics]) -> Table:
    """Shares of every host's pooled activations that true facts could explain."""
    some = next(iter(metrics_by_tag.values()))
    table = Table(
        title="Oracle: FVE (fve_centred) from the true facts (ridge fitted on fit, scored on dev)",
        caption=f"{some['all_facts/fve_centred_n']} passages a host; intervals: 95%, over passages",
    )
    columns = {
        "all facts": "all_facts",
        "language+topic": "language_topic",
        "all - (l+t)": "beyond_language_topic",
        "(l+t) / all": "language_topic_share",
        "best - random": "best_over_random_triple",
    }
    table.add_column("host")
    for title in columns:
        table.add_column(title, justify="right")
    table.add_column("the best triple")
    for tag, metrics in metrics_by_tag.items():
        cells = [with_interval(metrics, f"{name}/fve_centred") for name in columns.values()]
        table.add_row(tag, *cells, str(metrics["best_triple_facts"]))
    table.add_section()
    means = [_mean(list(metrics_by_tag.values()), f"{n}/fve_centred") for n in columns.values()]
    table.add_row("mean of hosts", *means, "")
    return table


def with_interval(metrics: Metrics, name: str, *, digits: int = 2) -> str:
    """`value [low, high]`, or how many units it has where these are few."""
    number = Number(
        host="",
        predictor="",
        metric=name,
        value=metrics[name],
        low=metrics[f"{name}_low"],
        high=metrics[f"{name}_high"],
        num_units=metrics.get(f"{name}_n", 0),
        covers="record",
    )
    return f"{number.value:.{digits}f} {doubt_of(number, digits=digits).words}"


def _mean(rows: Sequence[Metrics], name: str) -> str:
    return f"{sum(row[name] for row in rows) / len(rows):.2f}"
