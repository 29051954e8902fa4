"""Every public list comes in pages, and every one in the same way."""

import pytest
from every_rpc.catalogue import Rpc, all_rpcs

LISTS = [rpc for rpc in all_rpcs() if rpc.name.partition("/")[2].startswith("List") and rpc.is_public]


@pytest.mark.parametrize("rpc", LISTS, ids=str)
def test_a_public_list_comes_in_pages(rpc: Rpc) -> None:
    asked, answered = rpc.request.DESCRIPTOR.fields_by_name, rpc.response.DESCRIPTOR.fields_by_name
    assert {"page_size", "page_token"} <= set(asked)
    assert "next_page_token" in answered
    assert {"PAGE_TOKEN_INVALID", "PAGE_TOKEN_EXPIRED"} <= rpc.contract.reasons


def test_there_are_lists() -> None:
    assert len(LISTS) >= 10
