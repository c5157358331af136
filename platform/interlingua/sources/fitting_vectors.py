"""Whether a file has as many vectors as there are texts, as wide as its host. Knows no model."""

from interlingua.sources.files import TEXTS, files_of, num_rows_of
from interlingua.sources.vector_file import Vectors
from interlingua.specs.corpora import PassagesSpec, TextFiles


def num_texts_of(spec: PassagesSpec) -> int | None:
    """How many texts the corpus has, where they are the rows of local files; refuses pieces."""
    if spec.pieces is not None:
        raise ValueError(
            "passages.pieces cuts documents, and a vector that was read elsewhere is of a whole "
            "text: set it to none, and bring a text for every vector"
        )
    corpus = spec.corpus
    if not isinstance(corpus, TextFiles) or corpus.first or corpus.count is not None:
        return None  # of a part of a file there may be vectors of that part, or of all
    return sum(map(num_rows_of, files_of(corpus.path, TEXTS, field="TextFiles.path")))


def check_size(
    vectors: Vectors, host_tag: str, block_index: int, *, width: int, num_blocks: int
) -> None:
    """Raise where the host has no such block, or is of another width."""
    if block_index >= num_blocks:
        raise ValueError(
            f"hosts.{host_tag}.block is {block_index}, but its blocks are "
            f"0..{num_blocks - 1}: hidden_states[K+1] is block K"
        )
    if vectors.width != width:
        raise ValueError(
            f"{vectors.where} is {vectors.width} wide, {host_tag} {width}: name the host "
            "that the vectors are of, or the file of this host"
        )
