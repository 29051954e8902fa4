"""The tools that every installation has."""

from weft_tools.builtin.create_task import CREATE_TASK
from weft_tools.builtin.read_document import READ_DOCUMENT
from weft_tools.builtin.search_documents import SEARCH_DOCUMENTS

BUILT_IN = (SEARCH_DOCUMENTS, READ_DOCUMENT, CREATE_TASK)
