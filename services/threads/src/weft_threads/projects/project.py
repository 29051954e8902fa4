"""Projects as values."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Project:
    project_id: UUID
    display_name: str
    create_time: datetime
    update_time: datetime
    created_by: str
