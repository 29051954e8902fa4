"""Files that come with messages, as a runner has them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a run's context that nobody has read yet. `media_type` is empty where nobody said."""

    attachment_id: str
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Extracted:
    text: str
    media_type: str
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """`reason` is a name of weft.threads.v1.AttachmentFailure.Reason."""

    reason: str
    message: str


Extraction = Extracted | Unreadable
