"""Whether a trunk can speak: its marker in prompts, its end of texts, its template."""

from collections.abc import Iterable, Iterator

from transformers import PreTrainedTokenizerBase

from interlingua.models.pair.fresh import check_speaks, contract_of
from interlingua.models.pair.prompts import av_prompt
from interlingua.specs.finding import Finding, State
from interlingua.specs.training import ArSpec, AvSpec


def trunk_findings(
    subject: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    width: int,
    num_ids: int,
    av: AvSpec,
    ar: ArSpec,
    host_tags: Iterable[str],
) -> Iterator[Finding]:
    """A line about the marker and the end of texts, and one about the template."""
    try:
        contract = contract_of(tokenizer, width, av=av, ar=ar)
        check_speaks(tokenizer, contract, num_ids)
        # The tag of a host stands in its prompt and may change the ids around the markers.
        lengths = [len(av_prompt(contract, tokenizer, tag).ids_T) for tag in host_tags]
    except ValueError as error:
        what, _, remedy = " ".join(str(error).split()).partition("; ")
        remedy = remedy or "change av.template, or name another trunk"
        yield Finding(subject, f"marker: {what}", State.WRONG, remedy)
    else:
        tokens, slots = contract.tokens, av.injection.num_slots
        what = (
            f"marker: {slots} x U+{ord(tokens.marker):04X} (token {tokens.marker_id}) in prompts "
            f"of {max(lengths)} tokens or fewer"
        )
        yield Finding(subject, what, State.OK)
    has_template = tokenizer.chat_template is not None
    what = "chat template: " + ("its own" if has_template else "none, the prompt is plain text")
    yield Finding(subject, what, State.OK)
