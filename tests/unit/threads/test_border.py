"""What comes in, made storable."""

from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.threads.v1 import message_pb2, thread_service_pb2
from weft_threads.border import make_storable


def test_nul_is_replaced_wherever_a_text_can_be() -> None:
    message = thread_service_pb2.CreateMessageRequest(
        thread_id="a\0", parts=[message_pb2.Part(text="b\0c"), message_pb2.Part(text="clean")]
    )
    make_storable(message)
    assert (message.thread_id, [part.text for part in message.parts]) == ("a\ufffd", ["b\ufffdc", "clean"])

    agent = agent_service_pb2.CreateAgentRequest(
        spec=agent_pb2.AgentSpec(tools=["t\0", "u"], model_parameters=agent_pb2.ModelParameters(stop=["\0"]))
    )
    make_storable(agent)
    assert (list(agent.spec.tools), list(agent.spec.model_parameters.stop)) == (["t\ufffd", "u"], ["\ufffd"])

    thread = thread_service_pb2.CreateThreadRequest(metadata={"k\0": "v\0", "l": "w"})
    make_storable(thread)
    assert dict(thread.metadata) == {"k\ufffd": "v\ufffd", "l": "w"}
