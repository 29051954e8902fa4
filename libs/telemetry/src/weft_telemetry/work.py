"""For whom a task works: what its log lines say of it."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

_NOBODY: Mapping[str, str] = MappingProxyType({})
_ids: ContextVar[Mapping[str, str]] = ContextVar("weft_work_ids", default=_NOBODY)


def work_for(**ids: str) -> None:
    """Note ids (run_id, thread_id, tenant_id) for the task and those that it starts. It ends with the task."""
    _ids.set({**_ids.get(), **ids})


def worked_for() -> Mapping[str, str]:
    return _ids.get()
