"""Reading a document, a passage at a time."""

import re

from weft_tools.domain.tool import Arguments, Tool, ToolContext, ToolError

DOCUMENT_ID = re.compile(r"doc_[0-7][0-9a-hjkmnp-tv-z]{25}")
DEFAULT_LENGTH = 12_000
# With four bytes to a character and what stands around it, a passage still fits into what a model is given.
MAX_LENGTH = 15_000


async def read_document(arguments: Arguments, context: ToolContext) -> object:
    document_id = await _id_of(arguments["document"], context)
    passage = await context.documents.read(
        document_id, arguments.get("offset", 0), arguments.get("length", DEFAULT_LENGTH)
    )
    shown = {
        "document_id": passage.document_id,
        "title": passage.title,
        "offset": passage.offset,
        "document_length": passage.document_length,
        "text": passage.text,
    }
    if passage.next_offset:
        shown["next_offset"] = passage.next_offset
    return shown


async def _id_of(document: str, context: ToolContext) -> str:
    if DOCUMENT_ID.fullmatch(document):
        return document
    found = await context.documents.find_by_title(context.project_id, document)
    if found is None:
        raise ToolError(f"there is no document titled {document!r}; find its id with search_documents")
    return found


READ_DOCUMENT = Tool(
    name="read_document",
    description=(
        "Read a document of the project, by its id or its exact title. Long documents come in passages: go on at "
        "next_offset until there is none."
    ),
    parameters={
        "type": "object",
        "properties": {
            "document": {
                "type": "string",
                "minLength": 1,
                "maxLength": 500,
                "description": "The id, as doc_01h…, or the exact title.",
            },
            "offset": {"type": "integer", "minimum": 0, "description": "Where to begin, in characters; 0 by default."},
            "length": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LENGTH,
                "description": f"How many characters at most; {DEFAULT_LENGTH} by default.",
            },
        },
        "required": ["document"],
        "additionalProperties": False,
    },
    handler=read_document,
    timeout_seconds=60.0,
    is_idempotent=True,
)
