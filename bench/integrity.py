"""What it costs that nothing is built on a changed file: `python -m bench.integrity ROOT RECIPE`.

Replays, on a finished root, every check that building it made: the hashes of what was published,
the look at what each stage was built on, and every byte upstream of what was sealed. Beside it the
time that the root's stages took.
"""

import sys
import time
from pathlib import Path

from interlingua.recipes.registry import recipe_named
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find, verify, with_upstream
from interlingua.store.integrity import file_hashes, note_stamps


def main(root: Path, name: str) -> None:
    """Print a table of seconds."""
    seconds = dict.fromkeys(
        ("hash what is published", "look at inputs", "read what is sealed"), 0.0
    )
    num_bytes, worked = 0, 0.0
    for stage in graph_of(recipe_named(name)):
        artifact = find(stage, root)
        inputs = [found for up in stage.upstream.values() if (found := find(up, root))]
        assert artifact is not None, f"{stage.kind}/{stage.label} is not built in {root}"
        worked += artifact.record.seconds
        started = time.perf_counter()
        file_hashes(artifact.path)
        note_stamps(artifact.path, artifact.record)
        published = time.perf_counter()
        for one in inputs:
            verify(one)
        looked = time.perf_counter()
        sealed = with_upstream(inputs, root) if stage.seals else []
        for one in sealed:
            verify(one, is_thorough=True)
            num_bytes += sum((one.path / name).stat().st_size for name in one.record.files)
        ended = time.perf_counter()
        steps = (published - started, looked - published, ended - looked)
        seconds = {n: s + step for (n, s), step in zip(seconds.items(), steps, strict=True)}
    for what, spent in seconds.items():
        print(f"| {what} | {spent:.2f} |")
    total = sum(seconds.values())
    print(f"| all, beside {worked:.0f} s of work: {100 * total / worked:.2f}% | {total:.2f} |")
    print(f"{num_bytes / 1e6:.0f} MB were read to seal")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
