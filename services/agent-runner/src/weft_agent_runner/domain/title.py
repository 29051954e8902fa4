"""The title of a thread: what a model is asked for it, and what is taken of its answer."""

from collections.abc import Sequence

from weft_core.text import cut_to_code_points, storable

from weft_agent_runner.domain.model import ModelMessage, ModelRequest, Role

MAX_CHARACTERS = 80
_INSTRUCTIONS = (
    "Write a title for this conversation: what it is about, in its language, in at most six words. "
    "Answer with the title only, without quotes."
)
_SHOWN_CHARACTERS = 2000
_SECONDS = 20.0
MAX_ANSWER_CHARACTERS = 500
"""What comes behind is not waited for. A limit of tokens is not asked for: not every provider takes one, and models
that think first would use it up."""
_DECORATION = " \t\"'`*#_“”„«»"


def title_request(model: str, conversation: Sequence[ModelMessage]) -> ModelRequest | None:
    """Return what is asked of a model after a run; None when there is nothing to make a title of."""
    asked = next((m.text for m in conversation if m.role is Role.USER and m.text.strip()), "")
    answer = conversation[-1] if conversation else None
    if not asked or answer is None or answer.role is not Role.ASSISTANT or not answer.text.strip():
        return None
    said = f"User: {asked[:_SHOWN_CHARACTERS]}\n\nAssistant: {answer.text[:_SHOWN_CHARACTERS]}"
    messages = (ModelMessage(Role.SYSTEM, _INSTRUCTIONS), ModelMessage(Role.USER, said))
    return ModelRequest(model, messages, _SECONDS)


def title_in(answer: str) -> str:
    """Return the title in a model's answer; empty when there is none."""
    line = next((line for line in answer.splitlines() if line.strip(_DECORATION)), "")
    return cut_to_code_points(storable(" ".join(line.split())).strip(_DECORATION), MAX_CHARACTERS)
