"""Which documents a project has."""

from weft_tools.builtin.pages import PAGE_PROPERTIES, name_of, page_of, with_next
from weft_tools.domain.tool import Arguments, Tool, ToolContext


async def list_documents(arguments: Arguments, context: ToolContext) -> object:
    project_id = arguments.get("project_id", context.project_id)
    page = await context.documents.list_page(project_id, *page_of(arguments))
    documents = [
        {
            "document_id": document.document_id,
            "title": name_of(document.title),
            "size_bytes": document.size_bytes,
            "update_time": document.update_time,
        }
        for document in page.documents
    ]
    return with_next({"project_id": project_id, "documents": documents}, page.next_page_token)


LIST_DOCUMENTS = Tool(
    name="list_documents",
    description=(
        "List the documents of a project, newest first: id, title, size, time of the last change. read_document takes "
        "the id. When next_page_token is there, more follow: call again with it."
    ),
    parameters={
        "type": "object",
        "properties": {
            "project_id": {
                "type": "string",
                "pattern": "^prj_[0-7][0-9a-hjkmnp-tv-z]{25}$",
                "description": "The project, by its id from list_projects. Leave it out for the current one.",
            },
            **PAGE_PROPERTIES,
        },
        "additionalProperties": False,
    },
    handler=list_documents,
    timeout_seconds=60.0,
    is_idempotent=True,
)
