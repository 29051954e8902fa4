"""Which projects there are."""

from weft_tools.builtin.pages import PAGE_PROPERTIES, name_of, page_of, with_next
from weft_tools.domain.tool import Arguments, Tool, ToolContext


async def list_projects(arguments: Arguments, context: ToolContext) -> object:
    page = await context.projects.list_page(*page_of(arguments))
    projects = [
        {
            "project_id": project.project_id,
            "name": name_of(project.display_name),
            "is_current": project.project_id == context.project_id,
        }
        for project in page.projects
    ]
    return with_next({"projects": projects}, page.next_page_token)


LIST_PROJECTS = Tool(
    name="list_projects",
    description=(
        "List the projects that there are, newest first: id, name, and which of them this conversation is in. When "
        "next_page_token is there, more follow: call again with it."
    ),
    parameters={"type": "object", "properties": dict(PAGE_PROPERTIES), "additionalProperties": False},
    handler=list_projects,
    timeout_seconds=60.0,
    is_idempotent=True,
)
