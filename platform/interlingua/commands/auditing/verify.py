"""Check that every file of a run root is as it was published: `interlingua verify runs`.

Reads every byte of every finished artifact and names each file that is missing, changed or foreign.
Exits with 1 if there is one. In this process: no Ray, no model.
"""

import argparse
from pathlib import Path


class RootDamaged(ValueError):
    """Some files are not as they were published."""


def main(arguments: argparse.Namespace) -> None:
    """Check the root, with progress, and name what is bad."""
    from rich.console import Console
    from rich.progress import track

    from interlingua.store.whole_root import artifact_folders, checked

    console = Console()
    folders = artifact_folders(arguments.root.absolute())
    if not folders:
        raise ValueError(f"{arguments.root} holds no finished artifact; name a run root")
    results = track(
        checked(folders), "reading", len(folders), console=console,
        disable=not console.is_terminal, transient=True,
    )  # fmt: skip
    num_bytes, causes = 0, []
    for result in results:
        num_bytes += result.num_bytes
        for cause in result.causes:
            causes.append(cause)
            console.print(f"BAD {cause}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(folders)} artifacts read, {num_bytes / 1e6:.0f} MB, {len(causes)} faults",
        highlight=False,
    )
    if causes:
        raise RootDamaged(
            "delete the folder of every artifact that is named above and run its recipe again: "
            "what is whole is kept"
        )


def verify_parser() -> argparse.ArgumentParser:
    """Arguments: the root."""
    made = argparse.ArgumentParser(prog="python -m jobs.verify", description=__doc__)
    made.add_argument("root", type=Path, help="a run root, or the folder of one artifact")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made
