"""A body as it comes, unpacked within a bound."""

import zlib
from typing import Final

from weft_egress.errors import EgressFailedError

_GZIP: Final = zlib.MAX_WBITS + 16


class BoundedBody:
    """Takes chunks until it is full, and never holds more than `max_bytes`, packed or unpacked."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        """Raises: EgressFailedError: nothing was said of this encoding in the request."""
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise EgressFailedError("the answer is packed in a way that was not asked for")
        self._unpacker = zlib.decompressobj(_GZIP) if "gzip" in encoding else None
        self._max_bytes, self._packed_bytes = max_bytes, 0
        self._body = bytearray()
        self.is_full = False

    @property
    def content(self) -> bytes:
        return bytes(self._body)

    def add(self, chunk: bytes) -> None:
        """Raises: EgressFailedError: it is not packed as it says."""
        self._packed_bytes += len(chunk)
        room = self._max_bytes - len(self._body)
        # One byte more than there is room for tells whether something is left out; 0 would mean without bound.
        added = chunk[: room + 1] if self._unpacker is None else self._unpacked(chunk, room + 1)
        self._body += added[:room]
        self.is_full = len(added) > room or self._packed_bytes > self._max_bytes

    def _unpacked(self, chunk: bytes, limit: int) -> bytes:
        assert self._unpacker is not None
        try:
            return self._unpacker.decompress(chunk, limit)
        except zlib.error:
            raise EgressFailedError("the answer is packed and cannot be unpacked") from None
