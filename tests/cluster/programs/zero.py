"""One rank of all that tests/cluster/test_zero.py looks at: DeepSpeed is imported once for it.

RANK=0 WORLD_SIZE=1 MASTER_ADDR=... MASTER_PORT=... python -m tests.cluster.programs.zero ROOT OUT
"""

import sys
from pathlib import Path

import torch
from tests.cluster.programs import zero_care, zero_losses, zero_sums, zero_wide


def main(root: Path, out: Path) -> None:
    """Everything, one after the other; what asks for no second rank in one alone."""
    torch.set_num_threads(1)
    zero_losses.main(root, out / "losses.json")
    zero_wide.main(out / "wide")
    zero_sums.main(out / "sums.json")
    if torch.distributed.get_world_size() == 1:
        zero_care.main(out / "care.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    # Else a rank whose peers are gone may abort as Python ends.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
