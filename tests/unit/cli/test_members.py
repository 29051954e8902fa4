import pytest
from weft_cli.stack.errors import StackError
from weft_cli.stack.members import kind_of, names_of
from weft_cli.stack.model import find_real_model


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("redis", "redis"),
        ("threads-2", "threads"),
        ("agent-runner", "agent-runner"),
        ("agent-runner-10", "agent-runner"),
    ],
)
def test_the_kind_is_the_name_without_its_number(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_only_services_are_replicated() -> None:
    assert names_of({"postgres", "threads", "envoy"}, 2) == ["postgres", "threads", "threads-2", "envoy"]


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(StackError, match="no such member: mysql"):
        names_of({"mysql"}, 1)


def test_without_a_key_there_is_no_real_model() -> None:
    assert find_real_model({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}) is None


def test_a_key_chooses_the_real_model() -> None:
    model = find_real_model({"OPENAI_API_KEY": "k", "WEFT_MODEL": "m"})
    assert model is not None
    assert (model.api_key, model.base_url, model.name) == ("k", None, "m")
    assert "api_key" not in repr(model)
