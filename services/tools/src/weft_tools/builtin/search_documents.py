"""Finding places in the project's documents."""

from weft_tools.domain.tool import Arguments, Tool, ToolContext

DEFAULT_HITS = 5


async def search_documents(arguments: Arguments, context: ToolContext) -> object:
    hits = await context.documents.search(
        context.project_id, arguments["query"], arguments.get("max_hits", DEFAULT_HITS)
    )
    if not hits:
        return {"hits": [], "note": "Nothing fits. Try fewer or other words."}
    return {
        "hits": [
            {
                "document_id": hit.document_id,
                "title": hit.title,
                "offset": hit.offset,
                "snippet": hit.snippet,
                "score": round(hit.score, 4),
            }
            for hit in hits
        ]
    }


SEARCH_DOCUMENTS = Tool(
    name="search_documents",
    description=(
        "Search the project's documents. Returns the best places first: document id, title, a snippet, and the offset "
        "from which read_document shows more."
    ),
    parameters={
        "type": "object",
        "properties": {
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1000,
                "description": "Words to look for: any may fit, places with more of them come first.",
            },
            "max_hits": {
                "type": "integer",
                "minimum": 1,
                "maximum": 50,
                "description": f"How many places at most; {DEFAULT_HITS} by default.",
            },
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    handler=search_documents,
    timeout_seconds=60.0,
    is_idempotent=True,
)
