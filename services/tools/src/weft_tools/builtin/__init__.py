"""The tools that every installation has."""

from weft_tools.builtin.create_task import CREATE_TASK
from weft_tools.builtin.list_documents import LIST_DOCUMENTS
from weft_tools.builtin.list_projects import LIST_PROJECTS
from weft_tools.builtin.read_document import READ_DOCUMENT
from weft_tools.builtin.search_documents import SEARCH_DOCUMENTS
from weft_tools.builtin.todo import AGENT_TODO

BUILT_IN = (SEARCH_DOCUMENTS, READ_DOCUMENT, CREATE_TASK, LIST_PROJECTS, LIST_DOCUMENTS, AGENT_TODO)
