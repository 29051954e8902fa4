"""Tasks as values."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Task:
    task_id: UUID
    project_id: UUID
    title: str
    description: str
    state: str
    run_id: UUID | None
    create_time: datetime
    update_time: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a caller wants made. With a `request_id`, asking again makes nothing new."""

    project_id: UUID
    title: str
    description: str
    request_id: str

    def digest(self) -> bytes:
        fields = ("1", str(self.project_id), self.title, self.description)
        return hashlib.sha256(b"".join(b"%d:%s" % (len(f.encode()), f.encode()) for f in fields)).digest()
