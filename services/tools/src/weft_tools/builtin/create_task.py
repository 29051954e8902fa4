"""Making a task, once for each call however often the call is repeated."""

from weft_core.text import byte_length

from weft_tools.domain.tool import Arguments, Tool, ToolContext, ToolError

MAX_DESCRIPTION_BYTES = 65_536


async def create_task(arguments: Arguments, context: ToolContext) -> object:
    description = arguments.get("description", "")
    if byte_length(description) > MAX_DESCRIPTION_BYTES:
        raise ToolError("the description is longer than 64 KiB; shorten it")
    task = await context.tasks.create(context.project_id, arguments["title"], description, context.execution_id)
    return {"task_id": task.task_id, "title": task.title, "state": task.state}


CREATE_TASK = Tool(
    name="create_task",
    description="Create a task in the project, for somebody to do. Returns its id.",
    parameters={
        "type": "object",
        "properties": {
            "title": {
                "type": "string",
                "minLength": 1,
                "maxLength": 500,
                "description": "What is to be done, in a line.",
            },
            "description": {"type": "string", "maxLength": 65_536, "description": "What is to be done, at length."},
        },
        "required": ["title"],
        "additionalProperties": False,
    },
    handler=create_task,
    timeout_seconds=60.0,
    is_idempotent=True,
)
