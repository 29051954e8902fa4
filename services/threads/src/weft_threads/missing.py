"""What a caller is told of something that does not exist, or is another tenant's: the same words for both."""

from collections.abc import Mapping
from uuid import UUID

from weft_core.errors import NotFoundError, UnauthenticatedError
from weft_core.ids import KINDS, format_id

# Prefix of the id → where to find those that exist.
LISTED_BY: Mapping[str, str] = {
    "agt": "AgentService.ListAgents",
    "agv": "AgentService.ListAgentVersions",
    "prj": "ProjectService.ListProjects",
    "doc": "DocumentService.ListDocuments",
    "tsk": "TaskService.ListTasks",
    "thr": "ThreadService.ListThreads",
    "run": "RunService.ListRuns",
    "ten": "TenantService.ListTenants",
    "key": "TenantService.ListApiKeys",
}


def not_found(prefix: str, missing: UUID) -> NotFoundError:
    noun = KINDS[prefix]
    reason = f"{noun.upper().replace(' ', '_')}_NOT_FOUND"
    return NotFoundError(reason, f"no {noun} {format_id(prefix, missing)}; {LISTED_BY[prefix]} shows those that exist")


def tenant_gone() -> UnauthenticatedError:
    """Return what the callers of a deleted tenant are told while their key is still remembered at the edge."""
    return UnauthenticatedError("API_KEY_INVALID", "the tenant of this API key was deleted; use another key")
