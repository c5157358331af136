"""Builds the whole recipe in this process: `build_all.py ROOT`. To be killed and started again."""

import sys
from pathlib import Path

from tests.full.whole import build_whole

if __name__ == "__main__":
    build_whole(Path(sys.argv[1]))
