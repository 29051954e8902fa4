from weft.gateway.v1 import agent_gateway_service_pb2
from weft_core.errors import FieldViolation, InvalidFieldsError, NotFoundError
from weft_grpckit.contract import common_reasons, contracts_of, find_contract
from weft_grpckit.error_table import ErrorTable
from weft_grpckit.status import to_status


def test_a_method_is_found_with_its_options() -> None:
    contract = find_contract("/weft.gateway.v1.AgentGateway/RunEvents")
    assert contract is not None
    assert (contract.scope, contract.is_server_streaming) == ("runs.read", True)
    assert contract.reasons == {"RUN_NOT_FOUND", "CURSOR_OUT_OF_RANGE"}
    assert contract.allows_reason("SERVER_STOPPING")
    assert not contract.allows_reason("THREAD_BUSY")


def test_what_is_no_method_is_not_found() -> None:
    for path in ("", "/", "/weft.gateway.v1.AgentGateway/Nothing", "/weft.gateway.v1/RunEvents", "junk"):
        assert find_contract(path) is None


def test_the_common_reasons_are_declared_by_no_method() -> None:
    for contract in contracts_of(agent_gateway_service_pb2.DESCRIPTOR.services_by_name.values()):
        assert not contract.reasons & common_reasons()
    assert {"API_KEY_MISSING", "INTERNAL", "METHOD_UNKNOWN"} <= common_reasons()


def test_the_nearest_class_in_the_table_counts() -> None:
    table = ErrorTable()
    table.register(LookupError, lambda error: NotFoundError("RUN_NOT_FOUND", str(error)))
    table.register(IndexError, lambda error: None)
    found = table.find(KeyError("x"))
    assert found is not None
    assert found.reason == "RUN_NOT_FOUND"
    assert table.find(IndexError()) is None
    assert table.find(RuntimeError()) is None


def test_details_stay_within_what_metadata_may_hold() -> None:
    violations = [FieldViolation(f"field{number}", "x" * 5000) for number in range(500)]
    metadata = to_status(InvalidFieldsError(violations)).trailing_metadata
    assert sum(len(value) for _, value in metadata) < 8000
