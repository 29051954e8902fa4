"""What it costs to know the state of a tool that keeps one: it is found once, and then kept up to date."""

from time import perf_counter

from figures import Figure, Round
from weft_agent_runner.domain.conversation import Conversation
from weft_agent_runner.domain.model import ModelMessage, Role
from world import World

COUNT = 10_000
MESSAGES = [ModelMessage(Role.USER, "hello")] * 9_950
RESULT = ModelMessage(Role.TOOL, "[]", tool_call_id="c", result_of="todo")
WHOLE = [*MESSAGES, RESULT, *MESSAGES[:49]]


async def measure(world: World, rounds: int) -> list[Figure]:
    known = Figure("tool state, known", goal=1.0, unit="us")
    found = Figure("tool state, found in 10,000 messages", unit="us")
    for _ in range(rounds):
        conversation = Conversation(WHOLE)
        known.rounds.append(Round([], [_microseconds_a_look(conversation) for _ in range(5)]))
        found.rounds.append(Round([], [_microseconds_to_find() for _ in range(50)]))
    return [known, found]


def _microseconds_a_look(conversation: Conversation) -> float:
    began = perf_counter()
    for _ in range(COUNT):
        conversation.state_of("todo")
    return (perf_counter() - began) * 1e6 / COUNT


def _microseconds_to_find() -> float:
    conversation = Conversation(WHOLE)
    began = perf_counter()
    conversation.state_of("todo")
    return (perf_counter() - began) * 1e6
