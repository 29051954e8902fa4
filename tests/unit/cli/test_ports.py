import pytest
from weft_cli.stack.errors import StackError
from weft_cli.stack.ports import FREE_BASES, METRICS_OFFSET, ports


def test_ports_are_where_the_documentation_says() -> None:
    found = ports(7400, replicas=3)
    wanted = {
        "gateway": 7400,
        "threads": 7401,
        "agent-runner": 7402,
        "tools": 7403,
        "envoy": 7410,
        "envoy-admin": 7411,
        "postgres": 7432,
        "gateway-2": 7440,
        "threads-2": 7441,
        "agent-runner-2": 7442,
        "tools-2": 7443,
        "gateway-3": 7444,
        "threads-3": 7445,
        "agent-runner-3": 7446,
        "tools-3": 7447,
        "redis": 7479,
        "model": 7499,
    }
    assert found == wanted


def test_no_two_members_share_a_port_with_the_most_replicas() -> None:
    found = ports(7400, replicas=10)
    assert len(set(found.values())) == len(found)


def test_no_stack_serves_metrics_where_another_has_its_members() -> None:
    members = {port for base in FREE_BASES for port in ports(base, replicas=10).values()}
    assert members.isdisjoint({port + METRICS_OFFSET for port in members})
    assert max(members) + METRICS_OFFSET < 32_768, "the range of outgoing connections begins there"


@pytest.mark.parametrize("replicas", [0, 11])
def test_replicas_out_of_bounds_are_refused(replicas: int) -> None:
    with pytest.raises(StackError, match="replicas must be 1 to 10"):
        ports(7400, replicas)


@pytest.mark.parametrize("base", [80, 65_500])
def test_a_base_without_a_hundred_ports_is_refused(base: int) -> None:
    with pytest.raises(StackError, match="port base"):
        ports(base)
