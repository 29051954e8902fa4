"""Bodies that are packed, by how much memory they take."""

import gzip
import tracemalloc

from weft_egress.decoding import BoundedBody


def test_a_bomb_takes_no_more_memory_than_its_bound() -> None:
    bomb = gzip.compress(bytes(50 * 1024 * 1024))
    body = BoundedBody("gzip", 100_000)
    tracemalloc.start()
    try:
        body.add(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body.is_full
    assert len(body.content) == 100_000
    assert peak < 1_000_000


def test_a_body_comes_in_any_pieces() -> None:
    packed = gzip.compress(b"some text " * 100)
    body = BoundedBody("x-gzip", 1_000)
    for at in range(len(packed)):
        body.add(packed[at : at + 1])
    assert (body.content, body.is_full) == (b"some text " * 100, False)
