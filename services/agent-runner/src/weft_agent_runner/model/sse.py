"""Server-sent events, split from bytes as they are read."""


class LineTooLongError(Exception):
    """A line, or the data of one event, is longer than allowed."""


class EventSplitter:
    """Give it what was read; it gives back the data of each event that is now whole.

    Line ends may be LF, CRLF or CR; comments and every field but `data` are dropped.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._after_cr = False

    def feed(self, read: bytes) -> list[bytes]:
        """Raises: LineTooLongError."""
        read = self._with_line_feeds(read)
        if b"\n" not in read:
            self._keep(read)
            return []
        lines = read.split(b"\n")
        lines[0] = b"".join([*self._line, lines[0]])
        self._line, self._line_bytes = [], 0
        self._keep(lines.pop())
        return self._events(lines)

    def close(self) -> list[bytes]:
        """The stream has ended: an event that lacks only its line ends counts as whole."""
        return self.feed(b"\n\n")

    def _with_line_feeds(self, read: bytes) -> bytes:
        """CR ends a line wherever JSON can hold one; a LF right after it, also in the next read, belongs to it."""
        if self._after_cr and read.startswith(b"\n"):
            read = read[1:]
            self._after_cr = False
        if b"\r" in read:
            self._after_cr = read.endswith(b"\r")
            read = read.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        elif read:
            self._after_cr = False
        return read

    def _keep(self, rest: bytes) -> None:
        if rest:
            self._line.append(rest)
            self._line_bytes += len(rest)
        self._check(self._line_bytes)

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._check(len(line))
                data = line[6:] if line.startswith(b"data: ") else line[5:]
                self._data.append(data)
                self._data_bytes += len(data)
                self._check(self._data_bytes)
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data, self._data_bytes = [], 0
        return events

    def _check(self, size: int) -> None:
        if size > self._max_line_bytes:
            raise LineTooLongError
