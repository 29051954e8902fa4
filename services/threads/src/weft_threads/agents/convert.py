"""Agents between the contract and values."""

from collections.abc import Mapping
from typing import Final

from weft.agents.v1 import agent_pb2 as pb
from weft.agents.v1 import agent_service_pb2 as service_pb
from weft_core.ids import format_id

from weft_threads.agents.agent import Agent, AgentVersion
from weft_threads.masks import require_filled, wanted_paths
from weft_threads.times import timestamp

PLAIN_PATHS: Final = ("display_name", "description")
SPEC_PATHS: Final = tuple(f"spec.{field.name}" for field in pb.AgentSpec.DESCRIPTOR.fields)


def agent_to_proto(agent: Agent) -> pb.Agent:
    return pb.Agent(
        agent_id=format_id("agt", agent.agent_id),
        display_name=agent.display_name,
        description=agent.description,
        spec=pb.AgentSpec.FromString(agent.spec),
        agent_version_id=format_id("agv", agent.version_id),
        version_number=agent.version_number,
        create_time=timestamp(agent.create_time),
        update_time=timestamp(agent.update_time),
        created_by=agent.created_by,
    )


def version_to_proto(version: AgentVersion) -> pb.AgentVersion:
    return pb.AgentVersion(
        agent_version_id=format_id("agv", version.agent_version_id),
        agent_id=format_id("agt", version.agent_id),
        version_number=version.number,
        spec=pb.AgentSpec.FromString(version.spec),
        create_time=timestamp(version.create_time),
        created_by=version.created_by,
    )


def changes_from(request: service_pb.UpdateAgentRequest) -> tuple[Mapping[str, str], tuple[str, ...] | None]:
    """Return the columns to change, and the fields of the spec: none of them means all, None leaves the spec alone."""
    paths = wanted_paths(request, (*PLAIN_PATHS, "spec", *SPEC_PATHS), implied=(*PLAIN_PATHS, "spec"))
    require_filled(request, paths, ["display_name"])
    columns: dict[str, str] = {name: getattr(request, name) for name in PLAIN_PATHS if name in paths}
    if "spec" in paths:
        return columns, ()
    fields = tuple(sorted(path.removeprefix("spec.") for path in paths if path.startswith("spec.")))
    return columns, fields or None
