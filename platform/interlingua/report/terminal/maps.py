"""Tables of activations and encoders from their recorded metrics. Knows no stage."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from interlingua.report.terminal.hosts import with_interval

Metrics = Mapping[str, Any]


def activations_table(activations: Mapping[str, Metrics]) -> Table:
    """Counts of what was read of every host and split, and the speed."""
    table = Table(
        title="Activations",
        caption=(
            "rows/s: per CPU second of a worker. cut: longer than the limit; no row: nothing left "
            "to average; wider: read again because the forward overflowed; not finite: stayed so"
        ),
    )
    table.add_column("host and split")
    columns = {
        "passages": "num_passages",
        "rows": "num_rows",
        "tokens": "num_tokens",
        "rows/s": "rows_per_cpu_second",
        "cut": "num_truncated",
        "no row": "num_without_rows",
        "wider": "num_read_wider",
        "not finite": "num_not_finite",
    }
    for name in columns:
        table.add_column(name, justify="right")
    for label, metrics in activations.items():
        table.add_row(label, *(f"{metrics[name]:,.0f}" for name in columns.values()))
    return table


def encoder_table(encoders: Mapping[str, Metrics], roles: Mapping[str, str]) -> Table:
    """FVE of the anchor's vectors from every encoder, beside a constant and the null."""
    some = next(iter(encoders.values()))
    num_dev = some["dev/fve_centred_own_n"]
    table = Table(
        title="Encoders: the anchor's vectors rebuilt from each host's (fitted on fit, dev scored)",
        caption=(
            f"{num_dev} passages a host; intervals: 95%, over passages, one fit a host. constant: "
            "the anchor's mean on the same rows; shuffled: what independent pairs would score"
        ),
    )
    for name in ("host", "role"):
        table.add_column(name)
    for name in ("d", "K", "rows", "fve_centred", "constant", "shuffled", "ridge",
                 "effective rank", "condition"):  # fmt: skip
        table.add_column(name, justify="right")
    for tag, metrics in encoders.items():
        table.add_row(
            tag,
            roles[tag],
            str(metrics["width"]),
            str(metrics["block_index"]),
            str(metrics["num_rows"]),
            with_interval(metrics, "dev/fve_centred_own"),
            f"{metrics['constant/fve_centred_own']:.3f}",
            f"{metrics['shuffled/fve_centred_own']:.2f}",
            f"{metrics['ridge']:g}" if "ridge" in metrics else "identity",
            f"{metrics['effective_rank']:.0f}"
            + (" (rank-deficient)" * metrics["is_rank_deficient"]),
            f"{metrics['condition_number']:.1g}" if "condition_number" in metrics else "-",
        )
    return table
