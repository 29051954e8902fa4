"""weft.projects.v1.ProjectService."""

from weft.projects.v1 import project_service_pb2 as pb
from weft.projects.v1 import project_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.masks import require_filled, wanted_paths
from weft_threads.paging import Pager, PageRequest, uuid_of
from weft_threads.projects import convert
from weft_threads.projects.projects import Projects

PATHS = ("display_name",)


class ProjectServicer(grpc_pb.ProjectServiceServicer):
    def __init__(self, projects: Projects, pager: Pager) -> None:
        self._projects, self._pager = projects, pager

    async def CreateProject(self, request: pb.CreateProjectRequest, context: Context) -> pb.CreateProjectResponse:
        project = await self._projects.create(caller_of(context), request.display_name)
        return pb.CreateProjectResponse(project=convert.project_to_proto(project))

    async def GetProject(self, request: pb.GetProjectRequest, context: Context) -> pb.GetProjectResponse:
        project = await self._projects.get(caller_of(context), parse_id("prj", request.project_id, "project_id"))
        return pb.GetProjectResponse(project=convert.project_to_proto(project))

    async def ListProjects(self, request: pb.ListProjectsRequest, context: Context) -> pb.ListProjectsResponse:
        caller = caller_of(context)
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListProjects", {}, request.page_size, request.page_token),
            lambda cursor, limit: self._projects.list(caller, uuid_of(cursor), limit),
            lambda project: project.project_id.bytes,
        )
        projects = [convert.project_to_proto(project) for project in page.items]
        return pb.ListProjectsResponse(projects=projects, next_page_token=page.next_page_token)

    async def UpdateProject(self, request: pb.UpdateProjectRequest, context: Context) -> pb.UpdateProjectResponse:
        project_id = parse_id("prj", request.project_id, "project_id")
        require_filled(request, wanted_paths(request, PATHS, implied=PATHS), PATHS)
        project = await self._projects.rename(caller_of(context), project_id, request.display_name)
        return pb.UpdateProjectResponse(project=convert.project_to_proto(project))

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: Context) -> pb.DeleteProjectResponse:
        project_id = parse_id("prj", request.project_id, "project_id")
        await self._projects.delete(caller_of(context), project_id, force=request.force)
        return pb.DeleteProjectResponse()
