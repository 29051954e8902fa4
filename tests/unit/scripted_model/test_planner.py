import json
from typing import Any

import pytest
from weft_testkit.scripted_model.conversation import RequestError, read_request
from weft_testkit.scripted_model.grammar import parse_script
from weft_testkit.scripted_model.planner import Plan, make_plan, query_in, title_in

A_DOCUMENT = "doc_01h455vb4pex5vsknk084sn02q"
ASK = 'Search the documents for "merge strategy", read the best one, then create a task "Review merge".'


def a_tool(name: str, **properties: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return {"type": "function", "function": {"name": name, "parameters": {**schema, "required": list(properties)}}}


TOOLS = [
    a_tool("create_task", title="string"),
    a_tool("read_document", document_id="string"),
    a_tool("search_documents", query="string"),
]


def called(name: str, result: str, call_id: str = "c1") -> list[dict[str, Any]]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    ]


def plan(
    *messages: dict[str, Any], model: str = "scripted", tools: list[Any] | None = TOOLS, choice: Any = None
) -> Plan:
    body = {"model": model, "messages": list(messages), "tools": tools, "tool_choice": choice}
    return make_plan(read_request(body), parse_script(model))


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def names_and_arguments(made: Plan) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in made.calls]


def test_plan_searches_reads_and_makes_a_task_in_one_run() -> None:
    messages = [user(ASK)]
    assert names_and_arguments(plan(*messages)) == [("search_documents", {"query": "merge strategy"})]
    messages += called("search_documents", f"1. {A_DOCUMENT} Merge")
    assert names_and_arguments(plan(*messages)) == [("read_document", {"document_id": A_DOCUMENT})]
    messages += called("read_document", "Texts are joined.")
    assert names_and_arguments(plan(*messages)) == [("create_task", {"title": "Review merge"})]
    messages += called("create_task", "tsk_1")
    text = plan(*messages).text
    assert f"search_documents returned: 1. {A_DOCUMENT} Merge" in text
    assert "read_document returned: Texts are joined." in text
    assert "create_task returned: tsk_1" in text
    assert ASK in text


def test_plan_does_not_read_when_the_search_found_nothing() -> None:
    assert plan(user("Search for owls and read it"), *called("search_documents", "nothing")).text


def test_plan_quotes_the_whole_last_user_turn_when_no_tool_is_needed() -> None:
    assert (
        plan(user("first"), {"role": "assistant", "content": "ok"}, user("a\n---\nb")).text == 'You said: "a\n---\nb"'
    )
    assert plan(user("one"), user([{"type": "text", "text": "two"}])).text == 'You said: "one\ntwo"'


def test_plan_answers_with_text_when_no_tools_are_offered_or_allowed() -> None:
    assert plan(user(ASK), tools=None).text
    assert plan(user(ASK), choice="none").text
    assert plan(user("hi"), tools=None, model="scripted:tools=3").text


def test_plan_obeys_tool_choice() -> None:
    forced = {"type": "function", "function": {"name": "read_document"}}
    assert [call.name for call in plan(user("hi"), choice=forced).calls] == ["read_document"]
    assert [call.name for call in plan(user("hi"), choice="required").calls] == ["create_task"]
    assert [call.name for call in plan(user("find owls"), choice="required").calls] == ["search_documents"]


def test_plan_makes_the_rounds_and_calls_that_the_script_asks_for() -> None:
    model = "scripted:tools=2,tool=no_such_tool,calls=3"
    assert [call.name for call in plan(user("hi"), model=model).calls] == ["no_such_tool"] * 3
    first = [user("hi"), *called("no_such_tool", "unknown")]
    assert plan(*first, model=model).calls
    assert plan(*first, *called("no_such_tool", "unknown", "c2"), model=model).text
    again = [*first, *called("no_such_tool", "unknown", "c2"), user("more")]
    assert plan(*again, model=model).calls, "rounds are counted from the last user turn"


def test_plan_follows_the_users_own_call_lines_in_order() -> None:
    text = 'Please:\ncall create_task {"title": "x"}\ncall read_document'
    assert names_and_arguments(plan(user(text))) == [("create_task", {"title": "x"})]
    assert names_and_arguments(plan(user(text), *called("create_task", "ok"))) == [("read_document", {})]
    assert plan(user(text), *called("create_task", "ok"), *called("read_document", "ok", "c2")).text


def test_plan_fills_required_arguments_of_any_type() -> None:
    tool = a_tool("odd", n="integer", x="number", yes="boolean", many="array", thing="object", text="string")
    [(_, arguments)] = names_and_arguments(plan(user("hi"), tools=[tool], choice="required"))
    assert arguments == {"n": 1, "x": 1.0, "yes": False, "many": [], "thing": {}, "text": "hi"}


def test_plan_spoils_arguments_when_the_script_says_so() -> None:
    spoiled = [plan(user("find owls"), model=f"scripted:args={how}").calls[0].arguments for how in ("invalid", "empty")]
    assert spoiled[1] == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoiled[0])
    assert names_and_arguments(plan(user("find owls"), model="scripted:args=wrong"))[0][1] == {"no_such_argument": True}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Search the documents for row-level security, then stop.", "row-level security"),
        ("please find owls and read one", "owls"),
        ("look up the lease", "the lease"),
        ('search "a b" and "c"', "a b"),
    ],
)
def test_query_is_what_the_user_wants_found(text: str, query: str) -> None:
    assert query_in(text) == query


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('find "owls" and create a task "Feed them"', "Feed them"),
        ("create a task to feed the owls.", "feed the owls"),
        ('find "owls", make a task', "Follow up: owls"),
    ],
)
def test_title_is_what_the_user_calls_the_task(text: str, title: str) -> None:
    assert title_in(text) == title


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["hi"],
        [user("hi"), {"role": "tool", "tool_call_id": "c9", "content": "orphan"}],
        [user("hi"), called("x", "y")[0], user("no result came")],
        [user("hi"), called("x", "y")[0]],
    ],
)
def test_request_is_refused_when_real_providers_would(messages: list[Any]) -> None:
    with pytest.raises(RequestError):
        read_request({"model": "scripted", "messages": messages})
