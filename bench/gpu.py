"""What one card computes and how fast: parity with a CPU first, then speed, in ten minutes.

    python -m bench.gpu [--out FILE]                 # one H200
    python -m bench.gpu --rehearsal [--out FILE]     # every line, small, on a CPU

Needs neither Ray nor DeepSpeed. Random weights, no download. Every line is printed as it is
measured, medians with their least and greatest rounds; one that fails stops no other. The exit code
is 1 unless all lines were measured, within their bounds. A line more is one function, in an entry
of LINES.
"""

import argparse
import gc
import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging

from bench import gpu_parity, gpu_speed, gpu_steps
from bench.gpu_sizes import REFERENCE, Sizes, full, rehearsal
from bench.lines import Line, Outcome, run_lines
from bench.rounds import machine_lines, say

BUDGET_S = 540.0  # of ten minutes: the rest is for starting and for what overruns its turn
LINES: tuple[Line[Sizes], ...] = (
    Line(name="parity of extraction", reserved_s=20, measure=gpu_parity.extraction),
    Line(name="parity of injection", reserved_s=20, measure=gpu_parity.injection),
    Line(name="parity of decoding", reserved_s=20, measure=gpu_parity.decoding),
    Line(name="parity of a supervised AV step", reserved_s=20, measure=gpu_steps.av_step),
    Line(name="parity of a supervised AR step", reserved_s=20, measure=gpu_steps.ar_step),
    Line(name="parity of a reinforced step", reserved_s=20, measure=gpu_steps.rl_step),
    Line(name="speed of rollouts", reserved_s=120, measure=gpu_speed.rollouts),
    Line(name="speed of LoRA training", reserved_s=60, measure=gpu_speed.lora_sft),
    Line(name="speed of extraction", reserved_s=180, measure=gpu_speed.extraction),
)


def main(options: argparse.Namespace) -> int:
    """Measure all lines; 1 unless each has all its numbers."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    sizes = rehearsal() if options.rehearsal else full()
    if sizes.device == "cuda" and not torch.cuda.is_available():
        say("NOT RUN: no GPU here (torch.cuda.is_available() is false); --rehearsal needs none")
        return 1
    device = "cpu" if options.rehearsal else torch.cuda.get_device_name()
    head = {"device": device, "torch": torch.__version__, "transformers": transformers.__version__}
    say(*(f"{name}: {value}" for name, value in head.items()))
    if options.rehearsal:
        sides = ", ".join(map(str, sizes.sides))
        say(
            f"REHEARSAL, no card: sizes are small, parity is of {REFERENCE} against {sides}, "
            "and no speed means anything"
        )
    outcomes: list[Outcome] = []
    for outcome in run_lines(LINES, sizes, budget_s=options.budget_s):
        outcomes.append(outcome)
        if options.out is not None:  # after every line: who is ended early has what there was
            _write(options.out, {**head, "is_rehearsal": options.rehearsal}, outcomes)
        _free(sizes.device)
    bad = [outcome for outcome in outcomes if outcome.problem is not None]
    say(
        f"{len(outcomes) - len(bad)} of {len(LINES)} lines measured",
        *(f"{outcome.name}: {outcome.problem}" for outcome in bad),
        *machine_lines(),
    )
    return 1 if bad else 0


def parser() -> argparse.ArgumentParser:
    """What is measured, and where it is written."""
    made = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    made.add_argument("--rehearsal", action="store_true", help="small, on a CPU")
    made.add_argument("--out", type=Path, metavar="FILE", help="a JSON of all rounds")
    made.add_argument("--budget-s", type=float, default=BUDGET_S, metavar="SECONDS")
    return made


def _write(path: Path, head: dict[str, Any], outcomes: list[Outcome]) -> None:
    lines = [outcome.as_json() for outcome in outcomes]
    path.write_text(json.dumps({**head, "lines": lines}, indent=2) + "\n")


def _free(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
