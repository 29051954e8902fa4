"""`weft projects`, and how other commands find the project that is meant."""

from typing import Annotated

import typer
from weft.projects.v1 import project_service_pb2 as pb
from weft.projects.v1.project_pb2 import Project

from weft_cli import words
from weft_cli.commands.command import CommandError, Session, command
from weft_cli.commands.options import Limit
from weft_cli.tables import Column

group = typer.Typer(no_args_is_help=True, help="Projects: list, make.")

COLUMNS = (
    Column[Project]("PROJECT", lambda project: project.project_id),
    Column[Project]("NAME", lambda project: project.display_name, width=10),
    Column[Project]("MADE", lambda project: words.ago(project.create_time), rank=1),
)


@command(group, "list", examples="weft projects list")
async def list_projects(session: Session, limit: Limit = None) -> None:
    """List projects."""
    projects = await session.api.pages(session.api.projects.ListProjects, pb.ListProjectsRequest(), "projects", limit)
    session.out.rows("projects", projects, COLUMNS, "no projects")


@command(group, "create", examples="weft projects create Garden")
async def create_project(
    session: Session, name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, for people.")]
) -> None:
    """Make a project."""
    request = pb.CreateProjectRequest(display_name=name)
    answer = await session.api.call(session.api.projects.CreateProject, request)
    session.out.one(answer.project, COLUMNS)


async def the_project(session: Session, project: str) -> str:
    """Return the project that is named, or the only one that there is."""
    if project:
        return project
    found = await session.api.pages(session.api.projects.ListProjects, pb.ListProjectsRequest(), "projects", 2)
    if len(found) != 1:
        raise CommandError("there are several projects: say --project; weft projects list shows them")
    return str(found[0].project_id)
