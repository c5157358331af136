"""The plan of a sweep: its cells, what they share, what is missing, and what it would take."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from interlingua.core.contrasts import detectable
from interlingua.memory.parameters import av_size
from interlingua.memory.table import table_lines
from interlingua.models.hosts.sizes import size_of
from interlingua.sources.commits import open_names
from interlingua.specs.hosts import PoolHost
from interlingua.specs.models import HubHost
from interlingua.store.artifact import Stage, find
from interlingua.sweeps.sweep import Cell, Sweep, own_stages, shared_stages

# Of a forward and a backward: 2 and 4 multiply-adds a weight and token, as is usual to count.
FLOPS_A_WEIGHT = 6
PROMPT_TOKENS = 125  # of the published message with its chat scaffolding
# One card at a share of its peak that published trainings of this size reach.
CARD, PEAK_FLOPS, USED_SHARE = "H100", 989e12, 0.4
BYTES_A_TRAINED = 4  # stored in fp32; a checkpoint also holds two moments


def show_sweep_plan(sweep: Sweep, cells: Sequence[Cell], root: Path) -> None:
    """Print cells, contrasts, stages with their state, and costs with their arithmetic."""
    shared = shared_stages(cells)
    settings = sweep.settings()
    print(f"{sweep.name}: {len(settings)} settings x {len(sweep.seeds)} seeds = {len(cells)} cells")
    for axis in sweep.axes:
        print(f"  {axis.name}: {', '.join(axis.values)}")
    for note in sweep.notes:
        print(f"  {note}")
    for contrast in sweep.contrasts:
        terms = " ".join(f"{weight:+g} {name}" for name, weight in contrast.weights.items())
        print(f"contrast {contrast.name}: {terms}")
    print("\nshared by several cells, built once:")
    # Without commits fingerprints will be others.
    is_open = bool(open_names(cells[0].recipe))
    for stage in shared:
        print(f"  {stage.name:40} {'' if is_open else _fingerprint(stage, root)}".rstrip())
    print("\nof each cell alone, in its trial:")
    for cell in cells:
        own = ", ".join(stage.name for stage in own_stages(cell, shared))
        print(f"  {cell.name:32} {'' if is_open else _fingerprint(cell.stage, root)} {own}")
    print()
    for line in cost_lines(sweep, cells, root):
        print(line)


def cost_lines(sweep: Sweep, cells: Sequence[Cell], root: Path) -> list[str]:
    """What the missing cells would take, from finished ones where there are any."""
    missing = [cell for cell in cells if find(cell.stage, root) is None]
    done = [found for cell in cells if (found := find(cell.stage, root)) is not None]
    anchor = sweep.base.host(sweep.base.anchor).source
    trunk = size_of(anchor)
    lines = [f"{len(done)} cells done, {len(missing)} missing"]
    if trunk is not None:
        trained = [av_size(trunk, cell.recipe.av, ()) for cell in cells]
        num_bytes = [size.num_trained * BYTES_A_TRAINED for size in trained]
        lines.append(
            f"weights of a cell: {min(num_bytes) / 2**20:.1f} to {max(num_bytes) / 2**20:.1f} MiB "
            f"(trained parameters x {BYTES_A_TRAINED} bytes), while it trains three times as much"
        )
        if isinstance(anchor, HubHost):
            lines += device_hours(sweep, cells, trunk)
    lines.append(seeds_line(len(sweep.seeds)))
    return lines


def device_hours(sweep: Sweep, cells: Sequence[Cell], trunk: PoolHost) -> Iterator[str]:
    """A table of device-hours and bytes of the settings, by arithmetic."""
    rows, hours, seeds = [], 0.0, len(sweep.seeds)
    for cell in cells[: len(sweep.settings())]:  # those of the first seed
        av = cell.recipe.av
        size = av_size(trunk, av, ())
        tokens = av.num_steps * av.batch_rows * (PROMPT_TOKENS + av.max_response_tokens / 4)
        own = FLOPS_A_WEIGHT * size.num_parameters * tokens / (PEAK_FLOPS * USED_SHARE) / 3600
        hours += own * seeds
        rows.append(
            (
                cell.setting,
                f"{size.num_parameters / 1e9:.2f} B",
                f"{size.num_trained / 1e6:.0f} M",
                f"{size.num_trained * BYTES_A_TRAINED / 2**30:.1f} GiB",
                f"{tokens / 1e6:.1f} M",
                f"{own:.1f}",
            )
        )
    columns = ("setting", "parameters", "trained", "weights", "tokens", f"{CARD} hours a seed")
    yield from table_lines(columns, rows)
    yield (
        f"hours = {FLOPS_A_WEIGHT} x parameters x tokens / ({PEAK_FLOPS / 1e12:.0f} TFLOP/s x "
        f"{USED_SHARE:g}), arithmetic, not measured; tokens = steps x rows x ({PROMPT_TOKENS} of "
        f"the prompt + a quarter of the longest response). All cells: {hours:.0f} {CARD} hours"
    )


def seeds_line(num_seeds: int) -> str:
    """The least effect that would be found, in units of what is not known before."""
    if num_seeds < 2:
        return "one seed: no effect of any size could be told from seed noise"
    factor = detectable(1.0, num_seeds)
    return (
        f"{num_seeds} seeds find an effect of {factor:.2f} standard deviations (of a paired "
        "difference between seeds) 4 times out of 5"
    )


def _fingerprint(stage: Stage, root: Path) -> str:
    state = "done" if find(stage, root) is not None else "missing"
    return f"{stage.fingerprint} {state:8}"
