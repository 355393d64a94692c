"""The text of a mail that was given as HTML alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mailworker.mail.templating.text_of_html import text_of

MAIL = """\
<!doctype html><html><head><title>Not shown</title><style>p { color: red } .preheader { display: none !important }
@media (max-width: 600px) { .wide { display: none } }</style><script>alert(1)</script></head><body>
<span class="preheader">A line for the inbox</span><div style="DISPLAY : none; max-height: 0">and another</div>
<table role="presentation"><tr><td><table><tr><td><img src="cid:logo" alt="ACME &amp; Co"></td></tr></table>
<h1 class="wide">Reset your password</h1>
<p>Dear Zo&euml;,<br>we got   a request. Click
the button&nbsp;below:</p>
<table><tr><td><a href="https://example.com/reset?token=abc&amp;u=1">Reset password</a></td></tr></table>
<ul><li>One<ul><li>nested <b>bold</b></li></ul></li><li><p>Two</p></li></ul><ol><li>first<li>second</ol>
<table><tr><th>Item</th><th>Price</th></tr><tr><td>Book</td><td>12.00&nbsp;€</td></tr>
<tr><td>Pen</td><td>3 €</td></tr></table>
<hr><p>Bye<img src="https://example.com/pixel" width="1"></p><!--[if mso]><p>Outlook only</p><![endif]-->
</td></tr></table></body></html>
"""

TEXT = """\
ACME & Co

Reset your password

Dear Zoë,
we got a request. Click the button below:

Reset password <https://example.com/reset?token=abc&u=1>

* One
  * nested bold
* Two
1. first
2. second

Item  Price
Book  12.00 €
Pen   3 €

--------------------

Bye
"""


def test_a_mail_of_a_shop_becomes_what_a_person_would_have_written() -> None:
    assert text_of(MAIL) == TEXT


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="https://example.com/a b">here</a>', "here <https://example.com/a%20b>"),
        ('<a href="https://example.com/x\n  ">x (y)</a>', "x (y) <https://example.com/x>"),
        ('<a href="https://example.com/">example.com</a>', "example.com"),
        ('<a href="https://example.com/x">https://example.com/x</a>', "https://example.com/x"),
        ('<a href="https://evil.example/">https://bank.example/</a>', "https://bank.example/ <https://evil.example/>"),
        ('<a href="https://example.com/x"><img src="a.png"></a>', "<https://example.com/x>"),
        ('<a href="https://example.com/x"><img src="a.png" alt="Logo"></a>', "Logo <https://example.com/x>"),
        ('<a href="//example.com/x">x</a>', "x <https://example.com/x>"),
        ('<a href="mailto:a@example.com?subject=x">a@example.com</a>', "a@example.com"),
        ('<a href="mailto:a@example.com">us</a>', "us <a@example.com>"),
        ('<a href="tel:+49 30 1">call</a>', "call <+49301>"),
        ('<a href="myapp://reset/1">open</a>', "open <myapp://reset/1>"),
        ('<a href="{{unsubscribe_url}}">leave</a>', "leave <{{unsubscribe_url}}>"),
        ('<a href="#top">top</a> <a href="/x">x</a> <a href=" java\nscript:alert(1)">y</a> <a>z</a>', "top x y z"),
    ],
)
def test_a_link_keeps_its_url_where_its_words_do_not_say_it(html: str, text: str) -> None:
    assert text_of(html) == text + "\n"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("just text &lt;b&gt; &amp;amp; &#8364; &notit;", "just text <b> &amp; € ¬it;\n"),
        ("<p>a&shy;b&#8203;c&zwnj;d&nbsp;e</p><p>&nbsp;</p><p>f", "abc\u200cd e\n\nf\n"),
        ("<pre>a\n  b</pre>", "a\n  b\n"),
        ("<ul><li>a<li>b<p>c</ul>", "* a\n* b\n  c\n"),
        ("<blockquote>a<br>b</blockquote>c", "    a\n    b\n\nc\n"),
        ("<p>日本語<b>太字</b> שלום 🎉", "日本語太字 שלום 🎉\n"),
        ("<table><tr><td>Total<td>12 €</table>", "Total  12 €\n"),
        ("<table><tr><td><p>Total</p><td>12 €</table>", "Total\n\n12 €\n"),
        ("<table><tr><td>a" + "<td>b" * 20 + "</table>", "a" + "\n\nb" * 20 + "\n"),
        ("<table><tr><td colspan=999999999>a<td>b</table>", "a\n\nb\n"),
        ("<p hidden>a<p style='visibility:hidden'>b<p style='opacity:0.9'>c<p style='font-size:0px'>d", "c\n\nd\n"),
        ("<style>/* .a{display:none} */ i.b, #c > p {opacity: 0}</style><i class=a>a</i><i class=b>b</i>", "a\n"),
        ("<img src='cid:x'>", ""),
        ("", ""),
        ("a\0b<p\0>c\x07d", "abcd\n"),
        ("<p<<a href=<b>x</p></p><![CDATA[ x", "x\n"),
    ],
)
def test_what_html_means_is_what_is_read(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "x",
        "<table><tr><td>" * 100_000 + "x",
        "<ul><li>" * 100_000 + "x",
        "<blockquote>x" * 100_000,
        "<a href=y><table><tr><td>" * 20_000 + "x",
        "<b><i><u><a>" * 25_000 + "x",
        "<table>" + "<tr><td>" + "x" * 100_000 + "<tr><td>y<td>z" * 20_000,
        "<table>" + "<tr><td rowspan=65000 colspan=1000>x" * 5_000,
        "<p " + " ".join(f"a{number}=1" for number in range(100_000)) + ">x",
        "<style>" + "@" * 30_000 + "/*" * 30_000 + "{" * 30_000 + "</style>x",
        "<p style='" + "display: " * 300_000 + "'>x",
        "<" * 500_000 + " x",
    ],
    ids=lambda html: html[:12],
)
def test_depth_and_width_cost_in_proportion(html: str) -> None:
    """Lexbor needs nine seconds for the first, libxml2 leaves out what is deeper than 256."""
    begin = time.monotonic()

    text = text_of(html)

    assert "x" in text
    assert len(text) < 8_000_000
    assert time.monotonic() - begin < 5


def test_a_large_mail_is_read_within_seconds() -> None:
    begin = time.monotonic()

    text = text_of(('<p>Hello <a href="https://example.com/">wörld</a> &amp; all</p>\n' * 100_000)[: 5 * 2**20])

    assert text.startswith("Hello wörld <https://example.com/> & all\n\nHello")
    assert time.monotonic() - begin < 10


def test_a_text_mail_does_not_load_the_library() -> None:
    code = "import sys, mailworker.mail.templating.text_of_html; print('turbohtml' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
