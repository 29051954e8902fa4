"""What files are, and the text in them. The process around it is tested beside the runner."""

import codecs

import pytest
from pdf_files import a_pdf, an_encrypted_pdf
from weft_agent_runner.extraction.found import Found, UnreadableError
from weft_agent_runner.extraction.reading import read_file

ROOM = 256 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(200)


def read(content: bytes, media_type: str = "", max_bytes: int = ROOM) -> Found:
    return read_file(media_type, content, max_bytes)


def why_not(content: bytes, media_type: str = "") -> UnreadableError:
    with pytest.raises(UnreadableError) as caught:
        read(content, media_type)
    assert caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("content", "media_type", "text"),
    [
        (b"plain words", "text/plain", "plain words"),
        ("Größe – 大".encode(), "text/plain", "Größe – 大"),
        ("Größe – 大".encode(), "", "Größe – 大"),
        (codecs.BOM_UTF8 + b"marked", "text/plain", "marked"),
        (codecs.BOM_UTF16_LE + "Größe".encode("utf-16-le"), "text/plain", "Größe"),
        (codecs.BOM_UTF16_BE + "Größe".encode("utf-16-be"), "text/plain", "Größe"),
        (codecs.BOM_UTF32_LE + "Größe".encode("utf-32-le"), "text/plain", "Größe"),
        ("without a mark".encode("utf-16-le"), "text/plain", "without a mark"),
        ("without a mark".encode("utf-16-be"), "text/plain", "without a mark"),
        ("Größe in Latin-1".encode("latin-1"), "text/plain", "Größe in Latin-1"),
        ("Привет, мир".encode("koi8-r"), "text/plain; charset=KOI8-R", "Привет, мир"),
        (b"caf\xe9", "text/plain; charset=no-such-thing", "café"),
        (b"caf\xe9", "text/plain; charset=base64", "café"),
        (b"some words with a \0 in the middle", "text/plain", "some words with a \ufffd in the middle"),
        (b"# Title\n\n- a\n", "text/markdown", "# Title\n\n- a\n"),
        (b'{"a": 1}', "application/json", '{"a": 1}'),
        (b"<a/>", "image/svg+xml", "<a/>"),
    ],
)
def test_text_is_read_in_any_encoding(content: bytes, media_type: str, text: str) -> None:
    assert read(content, media_type).text == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"<html><head><title>T</title></head><body><p>Hi <b>there</b></p></body></html>", "T\n\nHi there"),
        (b"<p>a<script>evil('<p>x</p>')</script><style>p {}</style>b", "ab"),
        (b"<p>a<script>never closed <p>b", "a"),
        (b"<ul><li>one<li>two</ul>", "- one\n- two"),
        (b"<table><tr><td>1<td>2<tr><td>3<td>4</table>", "1\t2\n\t3\t4"),
        (b"<pre>def f():\n    return 1</pre>", "def f():\n    return 1"),
        (b"<p>a &amp; b &lt;c&gt; &#x1F600;", "a & b <c> \U0001f600"),
        (b"<img src=x alt='a cat'>", "a cat"),
        (b"<p>never closed <i>at all", "never closed at all"),
        (b"<meta charset=koi8-r><p>" + "мир".encode("koi8-r"), "мир"),
        (b"<script/><p>seen", "seen"),
    ],
)
def test_html_gives_what_a_reader_sees(page: bytes, text: str) -> None:
    found = read(page, "text/html")
    assert found.text.strip() == text
    assert found.media_type == "text/html"


def test_html_is_known_by_its_beginning() -> None:
    assert read(b"  <!DOCTYPE html><title>T</title>").media_type == "text/html"
    assert read(b"<!DOCTYPE html><b>x", "text/plain").text.startswith("<!DOCTYPE")


def test_html_may_be_nested_as_deep_as_it_likes() -> None:
    page = b"<div>" * 300_000 + b"deep" + b"</div>" * 300_000
    assert read(page, "text/html").text.strip() == "deep"


def test_pdf_gives_the_text_of_its_pages() -> None:
    found = read(a_pdf("first page", "second page"), "application/pdf")
    assert found == Found("first page\n\nsecond page", "application/pdf")


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/octet-stream", "text/html"])
def test_pdf_is_known_by_its_first_bytes_whatever_is_said(media_type: str) -> None:
    assert read(a_pdf("words"), media_type) == Found("words", "application/pdf")


def test_pdf_is_opened_when_it_is_encrypted_without_a_password() -> None:
    assert read(an_encrypted_pdf("not to be printed", "")).text == "not to be printed"


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128"])
def test_pdf_with_a_password_is_refused(algorithm: str) -> None:
    assert why_not(an_encrypted_pdf("secret", "password", algorithm=algorithm)).reason == "ENCRYPTED"


@pytest.mark.parametrize(
    "content",
    [
        a_pdf("words")[:200],
        a_pdf("words")[:-100],
        b"%PDF-1.7\n" + bytes(range(256)) * 50,
        b"%PDF-1.4\ntrailer << /Root 1 0 R >>\nstartxref\n9\n%%EOF",
    ],
)
def test_pdf_that_is_broken_is_malformed(content: bytes) -> None:
    assert why_not(content, "application/pdf").reason == "MALFORMED"


def test_pdf_of_another_kind_is_malformed() -> None:
    assert why_not(b"just words", "application/pdf").reason == "MALFORMED"


def test_pdf_of_many_pages_is_read_as_far_as_it_goes() -> None:
    found = read(a_pdf(*["some words on a page"] * 2100), max_bytes=ROOM)
    assert found.is_truncated
    assert found.text.count("some words") == 2000


def test_pdf_is_read_as_far_as_the_time_goes() -> None:
    turns = iter([False, False, True])
    text = read_file("", a_pdf("one", "two", "three"), ROOM, is_late=lambda: next(turns))
    assert (text.text, text.is_truncated) == ("one\n\ntwo", True)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "text/plain"),
        (PNG, ""),
        (PROGRAM, "text/plain"),
        (b"MZ\x90\x00" + bytes(300), "text/plain"),
        (b"PK\x03\x04" + bytes(300), "application/pdf"),
        (bytes(range(256)) * 20, "text/plain"),
        (bytes(5000), ""),
        (bytes(range(1, 256)) * 2 + bytes(range(32, 256)), ""),
        (b"words", "image/png"),
        (b"words", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)
def test_other_kinds_are_unsupported_whatever_they_call_themselves(content: bytes, media_type: str) -> None:
    assert why_not(content, media_type).reason == "UNSUPPORTED"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "text/plain"),
        (b"", ""),
        (b" \n\t ", "text/plain"),
        (a_pdf(""), ""),
        (b"<p> <script>x</script>", "text/html"),
    ],
)
def test_files_without_text_are_empty(content: bytes, media_type: str) -> None:
    assert why_not(content, media_type).reason == "EMPTY"


@pytest.mark.parametrize("text", ["x" * 5000, "ä" * 5000, "😀" * 5000])
@pytest.mark.parametrize("media_type", ["text/plain", "text/html"])
def test_text_is_cut_in_whole_characters(text: str, media_type: str) -> None:
    found = read(text.encode(), media_type, max_bytes=1001)
    assert found.is_truncated
    assert 997 < len(found.text.encode()) <= 1001
    assert text.startswith(found.text)
