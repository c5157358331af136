"""What the rows of a passage are of: all of it, sentences of it, or the text up to tokens."""

from collections.abc import Iterable, Iterator

from interlingua.models.hosts.sites import chosen_spans
from interlingua.sources.source import Site
from interlingua.specs.extraction import Spans
from interlingua.specs.splits import Split
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.store.artifact import Artifact
from interlingua.store.hosts import opened_from
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import POOLED_POSITION
from interlingua.store.rows.splits import SplitAccess


class Sites:
    """The sites of passages as hosts read them."""

    def __init__(
        self,
        spans: Spans | None,
        tokens: tuple[Artifact, Artifact] | None,
        splits: Iterable[Split],
        access: SplitAccess,
    ) -> None:
        """Prepare for rows at tokens; without `tokens` (a host, its rows) none is asked for."""
        self._spans = spans
        self._positions: dict[str, list[int]] | None = None
        if tokens is None:
            return
        from interlingua.models.hosts.host import load_tokenizer

        host, artifact = tokens
        read = artifact.record.spec
        source, revision = opened_from(host)
        self._tokenizer = load_tokenizer(source, revision=revision)
        self._max_tokens = read["max_tokens"]
        rows = KeyedRows(artifact, read["block_indices"][0], splits, access)
        self._positions = {}
        for passage_id, position in rows.finite_keys():
            self._positions.setdefault(passage_id, []).append(position)

    def of(self, passage: Passage) -> Iterator[Site]:
        """The sites of one passage."""
        if self._spans is not None:
            for span in chosen_spans(self._spans, passage.passage_id, passage.text):
                yield Site(position=span[0], span=span)
        elif self._positions is None:
            yield Site(position=POOLED_POSITION, span=None)
        elif positions := self._positions.get(passage.passage_id):
            yield from self._at_tokens(passage, positions)

    def _at_tokens(self, passage: Passage, positions: Iterable[int]) -> Iterator[Site]:
        # As the host read it: the same special tokens and the same cut. Otherwise a position is
        # another token here than there, and what is said of it is of the wrong place.
        encoded = self._tokenizer(
            passage.text,
            truncation=True,
            max_length=self._max_tokens,
            return_offsets_mapping=True,
        )
        for position in positions:
            end = encoded["offset_mapping"][position][1]
            yield Site(position=position, span=(0, end), is_token=True)
