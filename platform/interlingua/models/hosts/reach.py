"""Whether the hub can be asked, found out once and in seconds. Knows no repository."""

import threading
from pathlib import Path

from huggingface_hub import constants, get_token
from huggingface_hub.utils import get_session

ANSWER_SECONDS = 4.0


def why_no_hub() -> str | None:
    """The reason why the hub cannot be asked; None where it answers, whatever it says."""
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    causes = ["it does not answer"]

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=ANSWER_SECONDS)
        except Exception as error:  # of every layer below
            causes[0] = type(error).__name__
        else:
            causes.clear()

    # A name that cannot be resolved takes as long as the system likes: that is not waited for.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    return f"{constants.ENDPOINT} cannot be reached ({causes[0]})" if causes else None


def cache_folder() -> Path:
    """The folder in which the hub's library keeps files of models."""
    return Path(constants.HF_HUB_CACHE)


def has_token() -> bool:
    """Whether requests are sent with a token: of HF_TOKEN, or of the file that a login wrote."""
    return get_token() is not None
