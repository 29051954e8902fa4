"""Projects between the contract and values."""

from weft.projects.v1 import project_pb2 as pb
from weft_core.ids import format_id

from weft_threads.projects.project import Project
from weft_threads.times import timestamp


def project_to_proto(project: Project) -> pb.Project:
    return pb.Project(
        project_id=format_id("prj", project.project_id),
        display_name=project.display_name,
        create_time=timestamp(project.create_time),
        update_time=timestamp(project.update_time),
        created_by=project.created_by,
    )
