"""Settings for every test: no deadlines on shared machines, no hub, one thread a process."""

import os

from hypothesis import settings

settings.register_profile("interlingua", deadline=None)
settings.load_profile("interlingua")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
