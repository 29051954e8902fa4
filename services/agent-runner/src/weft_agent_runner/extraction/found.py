"""What reading a file comes to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    text: str
    media_type: str
    is_truncated: bool = False


class UnreadableError(Exception):
    """There is no text to be had. `reason` is a name of weft.threads.v1.AttachmentFailure.Reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


def unsupported(message: str) -> UnreadableError:
    return UnreadableError("UNSUPPORTED", message)


def malformed(message: str) -> UnreadableError:
    return UnreadableError("MALFORMED", message)
