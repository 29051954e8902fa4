"""A model server without a model: the OpenAI chat-completions protocol, planned by rules. docs/scripted-model.md"""

from weft_testkit.scripted_model.record import CallLog, CallRecord, Ending
from weft_testkit.scripted_model.server import ScriptedModelServer

__all__ = ["CallLog", "CallRecord", "Ending", "ScriptedModelServer"]
