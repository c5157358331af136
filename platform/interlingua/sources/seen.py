"""Which ids or hashes came before, in 16 to 32 bytes each. Holds no text."""

from array import array

LEAST_SLOTS = 1 << 10


class SeenIds:
    """A set of hashes of 8 bytes: an open table, at most half full."""

    # Not a set of Python's: 100 bytes an id, and a corpus has millions.
    def __init__(self) -> None:
        self._slots, self._count = array("Q", bytes(8 * LEAST_SLOTS)), 0

    def __len__(self) -> int:
        return self._count

    def is_new(self, value: int) -> bool:
        """Whether the hash did not come before; from now on it did."""
        if not self._put(value or 1):  # 0 is a free slot
            return False
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()
        return True

    def _put(self, value: int) -> bool:
        slots, last = self._slots, len(self._slots) - 1
        place = value & last  # of a hash the low bits are evenly spread
        while slots[place] != value:
            if not slots[place]:
                slots[place] = value
                return True
            place = (place + 1) & last
        return False

    def _grow(self) -> None:
        before, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        for value in before:
            if value:
                self._put(value)
