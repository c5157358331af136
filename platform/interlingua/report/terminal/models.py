"""The two models from their recorded metrics. Knows no model and no stage."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from interlingua.report.terminal.hosts import with_interval

Metrics = Mapping[str, Any]


def av_table(avs: Mapping[str, Metrics]) -> Table:
    """Loss of the AV with the right vector, with another's, and without one."""
    some = next(iter(avs.values()))
    table = Table(
        title="AV after supervised training: NLL a token of the teacher's explanations on dev",
        caption=(
            f"{some['dev/nll_real_n']} passages, all learning hosts together; intervals: 95%, over "
            "passages, one trained model (no seeds). shuffled: another passage's vector; zero: none"
        ),
    )
    columns = {
        "real": "dev/nll_real",
        "shuffled": "dev/nll_shuffled",
        "zero": "dev/nll_zero",
        "shuffled - real": "dev/nll_shuffled_less_real",
        "zero - real": "dev/nll_zero_less_real",
    }
    for name in ("trained weights", "best step", *columns, "skipped"):
        table.add_column(name, justify="right")
    for metrics in avs.values():
        table.add_row(
            f"{metrics['num_trained']:,}",
            str(metrics["best_step"]),
            *(with_interval(metrics, name, digits=3) for name in columns.values()),
            str(metrics.get("num_empty", 0) + metrics.get("num_too_long", 0)),
        )
    return table


def affine_table(avs: Mapping[str, Metrics]) -> Table | None:
    """Distance of every slot's map from the identity, and from the mean of all slots."""
    found = [metrics for metrics in avs.values() if "affine/from_identity" in metrics]
    if not found:
        return None
    table = Table(
        title="Affine maps of the slots",
        caption="Frobenius norms over that of the identity; share: the second over the first",
    )
    for name in ("slot", "from the identity", "from the slots' mean", "share", "||b||"):
        table.add_column(name, justify="right")
    for metrics in found:
        names = ("from_identity", "from_mean", "share", "bias_norm")
        for slot, values in enumerate(zip(*(metrics[f"affine/{n}"] for n in names), strict=True)):
            table.add_row(str(slot), *(f"{value:.4f}" for value in values))
    return table


def ar_table(ars: Mapping[str, Metrics]) -> Table:
    """FVE of the AR on the teacher's explanations, beside that of a linear map of their words."""
    some = next(iter(ars.values()))
    table = Table(
        title="AR after supervised training: vectors from the teacher's explanations on dev",
        caption=(
            f"fve_centred_own; {some['dev/fve_centred_own_n']} passages, learning hosts together; "
            "intervals: 95%, over passages, one trained model (no seeds). bag of words, "
            "network, pairs: from word counts by ridge and by a small network, and from counts of "
            "word pairs by ridge; fitted on the AR's own rows"
        ),
    )
    columns = {
        "AR": "dev/fve_centred_own",
        "bag of words": "bag_of_words/fve_centred_own",
        "network": "word_network/fve_centred_own",
        "pairs": "word_pairs/fve_centred_own",
        "AR - bag": "dev/fve_over_bag_of_words",
        "AR - network": "dev/fve_over_word_network",
        "AR - pairs": "dev/fve_over_word_pairs",
    }
    for name in ("trained weights", "best step", *columns, "skipped"):
        table.add_column(name, justify="right")
    for metrics in ars.values():
        table.add_row(
            f"{metrics['num_trained']:,}",
            str(metrics["best_step"]),
            *(with_interval(metrics, name, digits=3) for name in columns.values()),
            str(metrics.get("num_empty", 0) + metrics.get("num_too_long", 0)),
        )
    return table
