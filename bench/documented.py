"""Writes the documented numbers of the demo from a finished evaluation.

    python -m bench.documented runs/evaluation/demo-rl-...

The entry of this machine is put into platform/interlingua/published/demo.json, the others stay.
"""

import argparse
import json
from pathlib import Path

import interlingua.published
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.report.terminal.documented import FILE_NAME, RECIPE, cpu_model, entry_of
from interlingua.store.record import read_record

SHOWN = ("torch", "numpy", "transformers", "tokenizers", "peft")


def main() -> None:
    """Replace the entry of this machine."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    folder = options.parse_args().folder
    record = read_record(folder)
    if record is None or record.kind != "evaluation":
        raise SystemExit(f"error: {folder} is no finished evaluation")
    path = Path(interlingua.published.__path__[0]) / FILE_NAME
    packages = record.provenance.packages
    entry = entry_of(
        read_numbers(folder / NUMBERS_NAME),
        machine=cpu_model(),
        date=record.finished[:10],
        versions={name: packages[name] for name in SHOWN if name in packages},
    )
    known = json.loads(path.read_text())["machines"] if path.exists() else []
    others = [one for one in known if one["machine"] != entry["machine"]]
    found = {"recipe": RECIPE, "machines": [*others, entry]}
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
