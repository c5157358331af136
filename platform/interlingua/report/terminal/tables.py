"""Tables of a set of records, in the order in which the method runs. Knows no stage."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from interlingua.report.terminal.hosts import exam_table, oracle_table
from interlingua.report.terminal.maps import activations_table, encoder_table
from interlingua.report.terminal.models import affine_table, ar_table, av_table
from interlingua.store.record import Record


def tables_of(records: Sequence[Record], roles: Mapping[str, str]) -> list[Table]:
    """Every table that has something to show."""
    by_kind = {
        kind: {record.label: record.metrics for record in records if record.kind == kind}
        for kind in {record.kind for record in records}
    }
    made = {
        "host": lambda metrics: exam_table(metrics, roles),
        "activations": activations_table,
        "oracle": oracle_table,
        "encoder": lambda metrics: encoder_table(metrics, roles),
        "av": av_table,
        "ar": ar_table,
    }
    tables = [table(by_kind[kind]) for kind, table in made.items() if kind in by_kind]
    affine = affine_table(by_kind.get("av", {}))
    return tables if affine is None else [*tables, affine]
