import pytest
from weft_testkit.scripted_model.grammar import Script, ScriptError, parse_script, without_faults


def test_script_has_all_defaults_when_the_name_is_bare() -> None:
    assert parse_script("scripted") == Script()


def test_script_takes_every_kind_of_value() -> None:
    script = parse_script("scripted:ttft=2,tps=50.5,count=200,tool=echo,crlf=1,comments=0,silent=headers,args=invalid")
    assert script == Script(ttft=2, tps=50.5, count=200, tool="echo", crlf=True, silent=-1, args="invalid")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("gpt-5", "gpt-5"),
        ("scripted:speed=9", "speed=9"),
        ("scripted:ttft", "ttft"),
        ("scripted:count=many", "int"),
        ("scripted:cut=-1", "negative"),
        ("scripted:args=rude", "invalid"),
    ],
)
def test_script_error_names_what_is_wrong(name: str, named: str) -> None:
    with pytest.raises(ScriptError, match=named):
        parse_script(name)


@pytest.mark.parametrize(
    ("script", "failing"),
    [
        ("scripted:status=500", {1, 2, 3, 4}),
        ("scripted:status=500,fail_first=2", {1, 2}),
        ("scripted:status=500,fail_after=1,fail_first=2", {2, 3}),
        ("scripted:status=500,fail_after=3", {4}),
        ("scripted:status=500,fail_first=0", set()),
    ],
)
def test_faults_happen_only_in_the_calls_chosen(script: str, failing: set[int]) -> None:
    parsed = parse_script(script)
    assert {number for number in range(1, 5) if without_faults(parsed, number).status} == failing


def test_a_call_without_its_faults_keeps_its_pace() -> None:
    assert without_faults(parse_script("scripted:tps=9,cut=3,fail_first=1"), 2) == Script(tps=9, fail_first=1)
