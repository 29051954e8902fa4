"""The text of pages, decent and hostile ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft_tools.builtin.html_text import page_text

BASE = "https://example.com/a/b"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>One<p>Two<br>Three</p>", "One\nTwo\nThree"),
        ("a &lt;b&gt; &amp; c&nbsp;d &#8364;", "a <b> & c d €"),
        ("<p>keep <i>in</i> <b>line</b>", "keep in line"),
        ("<SCRIPT>no</p></SCRIPT>yes<style>no</style><svg><text>no</text></svg><noscript>no</noscript>", "yes"),
        ("<script>never ends <p>no", ""),
        ("x<!-- no --><!DOCTYPE y><?php z ?>w", "xw"),
        ("x<!-- never ends", "x"),
        ("<a href='c?d=1&amp;e=2'>c</a>", "c (https://example.com/a/c?d=1&e=2)"),
        ('<a href="javascript:alert(1)">j</a><a href="#top">t</a><a>n</a><a href="http://[">b</a>', "jtnb"),
        ('<p title="a > b">q</p>', "q"),
        ("1 < 2 and 3 <4 </ 5", "1 < 2 and 3 <4 </ 5"),
        ("<table><tr><th>h</th><td>d</td></tr></table>", "h | d |"),
        ("<ol><li>a</li><li>b</li></ol>", "- a\n- b"),
        ("\ud800<b>x</b>İ<SCRIPT>no</SCRIPT>y", "?xİy"),
    ],
)
def test_a_reader_sees_the_text(source: str, text: str) -> None:
    assert page_text(source, BASE).text == text


def test_the_title_is_no_part_of_the_text() -> None:
    page = page_text("<head><title> A\n &amp; B </title></head><body>c", BASE)
    assert (page.title, page.text) == ("A & B", "c")


@settings(deadline=None)
@given(st.text(alphabet="<>/!-\"'= abp&;#x", max_size=60))
def test_any_source_has_a_text(source: str) -> None:
    assert len(page_text(source, BASE).text) <= len(source) * 40


@pytest.mark.parametrize(
    "unit",
    [
        "<div>",
        "<b><p>",
        "<!--",
        "<![CDATA[",
        "<a x=1 ",
        "<a '",
        "<script>",
        "<title>x<",
        "<",
        "</",
        "&#x",
        "<a href=/>y",
    ],
)
def test_hostile_pages_end(unit: str) -> None:
    """A reader that begins anew at each of them, or nests them, would take minutes: the limit of the test ends it."""
    page_text(unit * (500_000 // len(unit)), BASE)
