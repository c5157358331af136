"""What a run would meet in a host: its files, configuration, blocks and tokenizer, and its memory.

A tokenizer is opened, and the model made without weights; nothing of it is computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from interlingua.memory.parameters import (
    BYTES,
    is_known_family,
    num_block_parameters,
    num_embedding_parameters,
    readable_bytes,
)
from interlingua.models.hosts.checkpoint import decoder_config, quiet_transformers, without_weights
from interlingua.models.hosts.gguf import read_header
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.hosts.hub import LISTLESS, NotFetched
from interlingua.models.hosts.model_files import (
    SENTENCEPIECE,
    ModelFiles,
    hub_files,
    licence,
    local_files,
    not_here,
    published_bytes,
    published_host,
    weights_line,
)
from interlingua.models.hosts.parts import find_blocks, text_config
from interlingua.specs.finding import Finding, State
from interlingua.specs.hosts import AtBlock, AtDepth
from interlingua.store.hosts import is_gguf

# What a tokenizer without tokenizer.json is made of, and the package that reads it.
NEEDED = {"*.model": SENTENCEPIECE, "*.tiktoken": "tiktoken"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsked:
    """A model of a recipe and how it is used; `block` None: no block of it is read.

    `fetched` is its folder in the root, where it has been fetched already.
    """

    subject: str
    source: str
    revision: str | None
    block: AtBlock | AtDepth | None
    dtype: str
    fetched: Path | None = None


@dataclass(slots=True)
class ModelSeen:
    """What was found of a model; tokenizer and sizes are None where that could not be seen."""

    findings: list[Finding] = field(default_factory=list)
    files: ModelFiles | None = None
    to_come: int | None = None  # bytes, of weights
    tokenizer: PreTrainedTokenizerBase | None = None
    width: int | None = None
    block_index: int | None = None  # of a model that has such a block
    num_ids: int | None = None
    read_bytes: int | None = None  # of the weights up to the block that is read


def seen_model(asked: ModelAsked, why_no_hub: str | None) -> ModelSeen:
    """All that can be found of a model; `why_no_hub` None: the hub answers."""
    seen = ModelSeen()
    if is_gguf(asked.source):
        seen.findings += _gguf_lines(asked)
        return seen
    try:
        seen.files = _files(asked, why_no_hub)
    except NotFetched as error:
        if why_no_hub is None or LISTLESS in str(error):
            seen.findings.append(_refused(asked, str(error)))
        else:
            _take_published(asked, seen)
        return seen
    except (ValueError, OSError) as error:
        seen.findings.append(Finding(asked.subject, str(error), State.WRONG, "name a whole model"))
        return seen
    seen.to_come = seen.files.num_missing
    seen.findings.append(_config_line(asked, seen, seen.files))
    seen.findings.append(_tokenizer_line(asked, seen, seen.files.folder))
    is_reached = why_no_hub is None
    seen.findings.append(weights_line(asked.subject, seen.files, is_reached=is_reached))
    return seen


def _files(asked: ModelAsked, why_no_hub: str | None) -> ModelFiles:
    if asked.fetched is not None:
        return local_files(asked.fetched, asked.revision)
    place = Path(asked.source).expanduser()
    if place.is_dir():
        return local_files(place)
    if place.is_absolute() or asked.source.count("/") != 1 or asked.source.startswith((".", "~")):
        raise ValueError(f"{asked.source}: nothing is there")
    return hub_files(asked.source, asked.revision, is_reached=why_no_hub is None)


def _refused(asked: ModelAsked, cause: str) -> Finding:
    """Why a hub that answers, or a cache that has some of it, does not give a model."""
    if "is gated" in cause:
        return licence(asked.subject, asked.source, is_refused=True)
    what, _, remedy = cause.partition("; ")
    state = State.MISSING if LISTLESS in what else State.WRONG
    return Finding(asked.subject, what, state, remedy or "name another model")


def _take_published(asked: ModelAsked, seen: ModelSeen) -> None:
    """What is known of a model that cannot be asked for: what was published."""
    published = published_host(asked.source)
    first, *others = not_here(asked.subject, asked.source)
    if published is not None:
        seen.to_come = published_bytes(published)
        first = _with_block(asked, seen, first, published.num_blocks)
        if seen.block_index is not None and is_known_family(published.model_type):
            num_read = num_embedding_parameters(published)
            num_read += (seen.block_index + 1) * num_block_parameters(published)
            first = _with_memory(asked, seen, first, num_read)
    seen.findings += [first, *others]


def _config_line(asked: ModelAsked, seen: ModelSeen, files: ModelFiles) -> Finding:
    """The line of the configuration: its class, depth, the block, and the memory of its blocks."""
    try:
        with quiet_transformers():
            config = decoder_config(str(files.folder), None)
            model = without_weights(asked.source, config)
            blocks = model.get_submodule(find_blocks(model))
    except Exception as error:  # whatever a configuration of another age makes transformers raise
        remedy = "name a decoder-only language model that transformers knows without remote code"
        cause = _line(error, files.folder, asked.source)
        return Finding(asked.subject, f"config: {cause}", State.WRONG, remedy)
    what = asked.source if files.commit is None else f"{asked.source} at {files.commit[:8]}"
    num_blocks, width = text_config(config).num_hidden_layers, text_config(config).hidden_size
    seen.width, seen.num_ids = width, model.get_input_embeddings().num_embeddings
    what += f": {type(model).__name__}, {num_blocks} blocks of width {width}"
    found = _with_block(asked, seen, Finding(asked.subject, what, State.OK), num_blocks)
    if seen.block_index is None:
        return found
    above = sum(p.numel() for block in list(blocks.children())[seen.block_index + 1 :]
                for p in block.parameters())  # fmt: skip
    num_read = sum(p.numel() for p in model.parameters()) - above
    return _with_memory(asked, seen, found, num_read)


def _with_block(asked: ModelAsked, seen: ModelSeen, found: Finding, num_blocks: int) -> Finding:
    """The line with the block that is read, if one is, and whether there is such a block."""
    if asked.block is None:
        return found
    try:
        seen.block_index = asked.block.block_index(num_blocks)
    except ValueError as error:
        remedy = f"set {asked.subject}.block to one of 0..{num_blocks - 1}"
        return Finding(asked.subject, f"{found.what}; {error}", State.WRONG, remedy)
    return replace(found, what=f"{found.what}, block {seen.block_index}")


def _with_memory(asked: ModelAsked, seen: ModelSeen, found: Finding, num_read: int) -> Finding:
    """The line with the memory that the blocks up to it take."""
    seen.read_bytes = num_read * BYTES[asked.dtype]
    what = f"{found.what}; up to it {readable_bytes(seen.read_bytes)} in {asked.dtype}"
    return replace(found, what=what)


def _tokenizer_line(asked: ModelAsked, seen: ModelSeen, folder: Path) -> Finding:
    try:
        with quiet_transformers():
            seen.tokenizer = load_tokenizer(str(folder))
    except Exception as error:  # as above
        lacks = [package for pattern, package in NEEDED.items()
                 if any(folder.glob(pattern)) and find_spec(package) is None]  # fmt: skip
        remedy = f"pip install {' '.join(lacks)}" if lacks else "fetch or save the tokenizer again"
        cause = _line(error, folder, asked.source)
        return Finding(asked.subject, f"tokenizer: {cause}", State.WRONG, remedy)
    name = type(seen.tokenizer).__name__
    what = f"tokenizer: {name}, {len(seen.tokenizer):,} tokens, eos {seen.tokenizer.eos_token}"
    return Finding(asked.subject, what, State.OK)


def _gguf_lines(asked: ModelAsked) -> Iterator[Finding]:
    """A GGUF file is converted by the run; until then its header is all that is seen."""
    try:
        header = read_header(Path(asked.source).expanduser())
        num_blocks = header.number("block_count")
        if asked.block is not None and num_blocks is not None:
            asked.block.block_index(num_blocks)
    except (ValueError, OSError) as error:
        yield Finding(asked.subject, str(error), State.WRONG, "name a whole .gguf file")
        return
    what = f"{asked.source}: {header.architecture}, {num_blocks} blocks"
    yield Finding(asked.subject, what, State.OK)
    yield Finding(
        asked.subject, "tokenizer and weights: seen when the file is converted", State.UNKNOWN
    )


def _line(error: BaseException, folder: Path, source: str) -> str:
    """An error in one line, as short as a cell, about what people named."""
    line = " ".join(str(error).split()).replace(str(folder), source)
    return line[:160] or type(error).__name__
