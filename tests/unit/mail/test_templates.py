"""Mails from templates: what is taken, what is refused, and what an error says."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mailworker.errors import TemplateError
from mailworker.mail.arguments import from_arguments
from mailworker.mail.email import Email, Limits
from mailworker.mail.templating.templates import Rendered, render


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mails"
    folder.mkdir()
    return folder


def write(folder: Path, **files: str) -> None:
    """`welcome_html` is the file `welcome.html`."""
    for name, text in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


def refusal(folder: Path, name: Any = "welcome", context: Any = None) -> str:
    with pytest.raises((TemplateError, TypeError)) as caught:
        render(name, context, folder)
    return str(caught.value)


class TestWhatIsTaken:
    def test_what_is_there(self, folder: Path) -> None:
        write(folder, a_html="<p>{{ x }}", a_txt="{{ x }}\n", a_subject="{{ x }}\n", b_txt="b", c_html="<p>c")

        assert render("a", {"x": "Tom & Jerry"}, folder) == Rendered(
            "Tom & Jerry", "Tom & Jerry\n", "<p>Tom &amp; Jerry"
        )
        assert render("b", {}, folder) == Rendered(None, "b", None)
        assert render("c", None, str(folder)) == Rendered(None, "c\n", "<p>c")

    def test_the_text_is_made_from_the_html_where_there_is_none(self, folder: Path) -> None:
        write(folder, a_html='<p>Hello {{ name }},</p><a href="{{ url }}">go</a>', b_html="<img src='cid:x'>")

        rendered = render("a", {"name": "<Zoë>", "url": "https://example.com/?a=1&b=2"}, folder)

        assert rendered.text == "Hello <Zoë>,\n\ngo <https://example.com/?a=1&b=2>\n"
        assert render("b", {}, folder).text is None

    def test_folders_extends_include_and_import(self, folder: Path) -> None:
        write(
            folder,
            base_html="[{% block body %}{% endblock %}]",
            parts__foot_txt="{{ name }}",
            parts__macros_html="{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}",
            shop__order_html="{% extends 'base.html' %}{% import 'parts/macros.html' as m %}"
            "{% block body %}{{ m.b(name) }}{% include 'parts/foot.txt' %}{% endblock %}",
        )

        assert render("shop/order", {"name": "<i>"}, folder).html == "[<b>&lt;i&gt;</b>&lt;i&gt;]"

    def test_lines_of_blocks_leave_no_line(self, folder: Path) -> None:
        write(folder, a_txt="Items:\n  {% for item in items %}\n- {{ item }}\n  {% endfor %}\nBye\n")

        assert render("a", {"items": ["x", "y"]}, folder).text == "Items:\n- x\n- y\nBye\n"

    @pytest.mark.parametrize("subject", ["{{ x }}", "\n {% if x %}\n{{ x }}\n{% endif %}\n"])
    def test_a_subject_is_one_line_whatever_was_passed(self, folder: Path, subject: str) -> None:
        write(folder, a_txt="a", a_subject=subject)

        assert render("a", {"x": "Hi\r\nBcc: eve@example.com"}, folder).subject == "Hi Bcc: eve@example.com"

    def test_what_was_passed_is_never_a_template(self, folder: Path) -> None:
        write(folder, a_txt="{{ x }} {{ x | upper }}", a_html="{{ x }}", a_subject="{{ x }}", b_html="{{ x | safe }}")
        evil = "{{ 7*7 }} {% include '/etc/passwd' %}"

        rendered = render("a", {"x": evil}, folder)

        assert rendered.text == f"{evil} {evil.upper()}"
        assert rendered.subject == evil
        assert "49" not in str(rendered.html)
        assert "49" not in str(render("b", {"x": evil}, folder).html)

    def test_a_file_that_changed_is_read_anew_and_so_are_its_parts(self, folder: Path) -> None:
        write(folder, a_html="{% include 'p.html' %}1", p_html="x")
        assert render("a", {}, folder).html == "x1"

        write(folder, p_html="y")
        os.utime(folder / "p.html", ns=(1, 1))
        assert render("a", {}, folder).html == "y1"
        (folder / "a.html").unlink()
        assert "neither a.html nor a.txt" in refusal(folder, "a")

    def test_a_folder_that_is_swapped_by_its_link(self, tmp_path: Path) -> None:
        """As Kubernetes mounts a ConfigMap: files are links through `..data`, which is swapped as a whole."""
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            write(tmp_path / name, a_txt=name)
        (tmp_path / "..data").symlink_to("one")
        (tmp_path / "a.txt").symlink_to("..data/a.txt")
        assert render("a", {}, tmp_path).text == "one"

        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(tmp_path / "..data")
        assert render("a", {}, tmp_path).text == "two"


class TestStyles:
    HEAD = "<!doctype html><html><head><style>p{color:red}@media (max-width:9px){p{color:blue}}</style>"

    def test_they_are_put_into_the_elements_and_media_queries_stay(self, folder: Path) -> None:
        write(folder, a_html=self.HEAD + "</head><body><!--[if mso]><i>x</i><![endif]--><p>{{ x }}</p></body></html>")

        html = str(render("a", {"x": "<"}, folder).html)

        assert '<p style="color: red;">&lt;</p>' in html
        assert "@media (max-width:9px){p{color:blue}}" in html
        assert "<!--[if mso]><i>x</i><![endif]-->" in html

    def test_html_without_styles_is_left_as_it_is(self, folder: Path) -> None:
        write(folder, a_html="<P  CLASS=x>&nbsp;")

        assert render("a", {}, folder).html == "<P  CLASS=x>&nbsp;"

    def test_nothing_is_fetched(self, folder: Path, tmp_path: Path) -> None:
        """Neither a file nor the network: any look at either, of Python or below it, would change the result or be
        refused by the closed port; and a sheet that is there to be found is not."""
        (tmp_path / "evil.css").write_text("p { color: rgb(6, 6, 6) }")
        links = "".join(
            f'<link rel="stylesheet" href="{url}">@import'
            for url in ("file:///etc/passwd", f"file://{tmp_path}/evil.css", f"{tmp_path}/evil.css", "evil.css",
                        "http://127.0.0.1:1/evil.css", "https://127.0.0.1:1/evil.css")
        )  # fmt: skip
        style = f"<base href='file://{tmp_path}/'><style>@import 'evil.css'; @import url(file://{tmp_path}/evil.css);"
        write(folder, a_html=f"{links}{style} p{{margin:0}}</style><p>x</p>")
        before = Path.cwd()
        os.chdir(tmp_path)
        try:
            html = str(render("a", {}, folder).html)
        finally:
            os.chdir(before)

        assert '<p style="margin: 0;">x</p>' in html
        assert "rgb" not in html
        assert "root:" not in html

    def test_what_is_too_deep_is_refused_and_does_not_end_the_process(self, folder: Path) -> None:
        """css-inline 0.24 recurses: 100,000 elements in one another were a segmentation fault."""
        write(
            folder, a_html="<style>p{color:red}</style>" + "<div>" * 100_000, b_html="<style>p{}</style>" + "<b>" * 90
        )

        assert refusal(folder, "a") == "template: a.html: elements are nested deeper than 100 levels"
        render("b", {}, folder)


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "../secret", "a/../../secret", "/etc/passwd", "//etc/passwd", "..", ".", "./a", "a//b", "a/", "", "~root/x",
            "a\\b", "..\\secret", "C:\\x", "C:x", "a\0", "a\n", "x" * 300, "a/./b", "file:///etc/passwd",
        ],
    )  # fmt: skip
    def test_one_that_leads_elsewhere_is_refused(self, folder: Path, name: str) -> None:
        write(folder.parent, secret_txt="secret", secret_html="secret")
        write(folder, a_html="{% include name %}")

        assert refusal(folder, name).startswith("template: ")
        for suffix in ("", ".txt"):
            said = refusal(folder, "a", {"name": name + suffix})
            assert said.startswith("template: a.html, line 1: "), said

    @pytest.mark.parametrize("name", [None, 5, b"welcome", ["welcome"], Path("welcome")])
    def test_no_text_is_no_name(self, folder: Path, name: object) -> None:
        assert refusal(folder, name).startswith("template: expected a name as 'welcome', got ")

    def test_a_link_out_of_the_folder_is_refused(self, folder: Path) -> None:
        write(folder.parent, secret_html="secret")
        (folder / "a.html").symlink_to("../secret.html")
        (folder / "b.html").symlink_to("/etc/passwd")
        (folder / "up").symlink_to("..")
        (folder / "loop.html").symlink_to("loop.html")
        write(folder, c_html="\n{% include 'up/secret.html' %}", d_html="d")
        (folder / "e.html").symlink_to("d.html")

        for name in ("a", "b", "up/secret"):
            assert refusal(folder, name) == f"template: {name}.html: a link that leads out of MAILWORKER_TEMPLATES"
        assert refusal(folder, "c") == "template: c.html, line 2: a link that leads out of MAILWORKER_TEMPLATES"
        assert refusal(folder, "loop").startswith("template: loop.html: ")
        assert render("e", {}, folder).html == "d"

    def test_what_is_no_file_is_refused_and_waits_for_nobody(self, folder: Path) -> None:
        os.mkfifo(folder / "a.html")
        (folder / "b.txt").mkdir()
        (folder / "c.txt").symlink_to("/dev/zero")

        assert refusal(folder, "a") == "template: a.html: is not a file"
        assert refusal(folder, "b") == "template: b.txt: is not a file"
        assert refusal(folder, "c") == "template: c.txt: a link that leads out of MAILWORKER_TEMPLATES"

    def test_what_is_not_there_is_told_with_what_may_be_meant(self, folder: Path) -> None:
        write(folder, welcome_html="x", only_subject="x")

        assert refusal(folder, "welcom") == (
            "template: there is neither welcom.html nor welcom.txt in MAILWORKER_TEMPLATES; did you mean welcome?"
        )
        assert refusal(folder, "welcome.html").startswith("template: 'welcome.html': leave out .html")
        assert "neither only.html nor only.txt" in refusal(folder, "only")
        assert refusal(folder / "no", "a") == f"template: MAILWORKER_TEMPLATES: there is no folder {folder / 'no'}"
        with pytest.raises(TemplateError, match="set MAILWORKER_TEMPLATES"):
            render("a", {}, None)
        with pytest.raises(TemplateError, match="set MAILWORKER_TEMPLATES"):
            render("a", {}, "")


class TestErrors:
    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("\n{{ user }}", "line 2: 'user' is undefined"),
            ("{{ d.nam }}", "line 1: 'dict object' has no attribute 'nam'"),
            ("{{ d['nam'] }}", "line 1: 'dict object' has no attribute 'nam'"),
            ("{{ d.a.b.c }}", "line 1: 'str object' has no attribute 'b'"),
            ("{{ d[secret] }}", "line 1: what it asks for by a computed name is not there, or not for templates"),
            ("{{ l[4711 - 1] }}", "line 1: what it asks for by a computed name is not there, or not for templates"),
            (
                "{{ d | attr(secret) }}",
                "line 1: what it asks for by a computed name is not there, or not for templates",
            ),
            ("{% if x %}\n{{ a }", "line 2: unexpected '}'"),
            ("{% for %}", "line 1: Expected an expression, got 'end of statement block'"),
            ("{{ d.a | nosuch }}", "line 1: No filter named 'nosuch'."),
            ("\n{{ secret | int + d }}", "line 2: TypeError"),
            ("{{ 1 / 0 }}", "line 1: ZeroDivisionError"),
            ("{{ broken.name }}", "line 1: KeyError"),
            ("{% include 'no.html' %}", "line 1: there is no 'no.html' in MAILWORKER_TEMPLATES"),
            ("{% include secret %}", "line 1: what it asks for by a computed name is not there, or not for templates"),
            ("{% extends 'no.html' %}", "line 1: there is no 'no.html' in MAILWORKER_TEMPLATES"),
            ("{% include 'a.html' %}", "line 1: includes itself without an end"),
        ],
    )
    def test_it_names_file_line_and_variable_and_never_a_value(self, folder: Path, source: str, said: str) -> None:
        class Broken:
            @property
            def name(self) -> str:
                raise KeyError("s3cret")

        write(folder, a_html=source)

        got = refusal(folder, "a", {"d": {"a": "s3cret"}, "l": [1], "secret": "s3cret", "broken": Broken()})

        assert got == f"template: a.html, {said}"

    def test_the_innermost_file_is_named(self, folder: Path) -> None:
        write(folder, a_html="\n{% include 'parts/p.html' %}", parts__p_html="\n\n{{ user.name }}", b_html="{% if %}",
              c_html="{% extends 'b.html' %}")  # fmt: skip

        assert refusal(folder, "a") == "template: parts/p.html, line 3: 'user' is undefined"
        assert refusal(folder, "c").startswith("template: b.html, line 1: ")

    def test_an_error_survives_the_way_to_another_process(self) -> None:
        error = pickle.loads(pickle.dumps(TemplateError("template: a.html, line 1: no")))

        assert (str(error), error.reason) == ("template: a.html, line 1: no", "bad_template")

    def test_a_file_that_is_not_utf_8(self, folder: Path) -> None:
        (folder / "a.txt").write_bytes("Zoë".encode("latin-1"))
        (folder / "b.txt").write_bytes(b"\xef\xbb\xbfZo\xc3\xab")

        assert refusal(folder, "a") == "template: a.txt: is not UTF-8"
        assert render("b", {}, folder).text == "Zoë"

    @pytest.mark.parametrize(
        ("context", "said"),
        [
            ([("a", 1)], "context: expected a dict, got list"),
            ("x", "context: expected a dict, got str"),
            ({1: "x"}, "context: expected names as keys, got int"),
        ],
    )
    def test_a_context_is_a_dict_of_names(self, folder: Path, context: object, said: str) -> None:
        write(folder, a_txt="x")

        assert refusal(folder, "a", context) == said

    @pytest.mark.parametrize(("module", "name"), [("jinja2", "Jinja2"), ("css_inline", "css-inline")])
    def test_without_the_extra_one_line_says_what_to_install(self, folder: Path, module: str, name: str) -> None:
        write(folder, a_html="<style>p{}</style>")
        code = (
            f"import sys; sys.modules[{module!r}] = None\n"
            "from mailworker.mail.templating.templates import render\n"
            f"try: render('a', {{}}, {str(folder)!r})\nexcept ValueError as error: print(error)"
        )

        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

        assert said == f"template: needs {name}: pip install 'mailworker[templates]'\n"


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ '' | attr('__class__') | attr('__mro__') }}",
    "{{ '' | attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ '' | attr(['_'*2,'class','_'*2] | join) }}",
    "{{ [''] | map(attribute='__class__') | list | first }}",
    "{{ ['a'] | map('attr', '__class__') | first }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(user) }}",  # Jinja 2.8.1, CVE-2016-10745
    "{{ '{x.__class__.__globals__}'.format_map({'x': user}) }}",  # CVE-2019-10906
    "{{ ('{0.__class__.__init__.__globals__}' | attr('format'))(user) }}",  # CVE-2025-27516
    "{% set f = '{0.__class__}'.format %}{{ f(user) }}",  # CVE-2024-56326
    "{{ ['{0.__class__}'.format] | map('string') | first }}{{ ''.format.__self__ }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ user.greet.__func__.__globals__ }}",
    "{{ user.greet.__globals__ }}",
    "{{ request.application.__globals__ }}",
    "{{ config.items() }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ (1).__class__.__base__ }}",
    "{% for x in user.__dict__ %}{{ x }}{% endfor %}",
    "{{ generator.gi_frame.f_globals }}",
    "{{ list.append(1) }}",
    "{{ data.update({'a': 1}) }}{{ data.clear() }}",
    "{% import 'os' as os %}{{ os.system('id') }}",
    "{% include '/etc/passwd' %}",
    "{% include '../secret.txt' %}",
    "{{ range(10**9) | list }}",
    "{{ 'x' * 10**10 }}",
    "{{ 10**10 * 'x' }}",
    "{{ [0] * 10**10 }}",
    "{{ 9**9**9**9 }}",
    "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s %}{{ n.s }}{{ n.s }}{% endset %}{% endfor %}",
    "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = [n.s, n.s] | join %}{% endfor %}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%(a)999999999d' % {'a': 1} }}",
    "{{ '%.*f' % (10**9, 1) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ '{:{}}'.format(1, 10**9) }}",
    "{{ 'a' | center(10**9) }}",
    "{{ 'a\\nb' | indent(width=10**9) }}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ '\\t'.expandtabs(10**9) }}",
    "{{ [1] | batch(10**9, 'x') | list }}",
    "{{ [1] | slice(10**9) | list }}",
    "{{ data | tojson(indent=10**9) }}",
    "{{ ('a' * 30000000) | replace('a', 'b' * 100) }}",
    "{{ ('a' * 30000000).replace('a', 'b' * 100) }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
]


class User:
    """What callers pass."""

    name = "Zoë"

    def greet(self) -> str:
        return "hello"


@pytest.mark.parametrize("source", ESCAPES)
def test_a_template_does_not_get_out_of_its_sandbox(folder: Path, source: str) -> None:
    """Ways out that were reported of Jinja2 or of programs that used it."""
    write(folder.parent, secret_txt="secret")
    write(folder, a_txt=source)
    passed = {"user": User(), "generator": (x for x in ()), "list": [1], "data": {"b": 1}}

    said = refusal(folder, "a", passed)

    assert said.startswith(("template: a.txt, line 1: ", "template: a.txt: makes more text")), said
    assert passed["list"] == [1]
    assert passed["data"] == {"b": 1}


def test_what_a_template_is_for_works_in_the_sandbox(folder: Path) -> None:
    write(folder, a_txt="{{ user.greet() }} {{ '%05.2f' | format(3.14159) }} {{ '{:>4}'.format('x') }} {{ 'ab' * 2 }} "
          "{{ 2 ** 10 }} {{ range(3) | list }} {{ d.items() | list }} {{ l | join(', ') }} "
          "{{ '%s: {%s} 50%%' % (1000000, 2) }} {{ '{{a: {}}} {}'.format(1000000, 2) }} "
          "{{ 1000000 | center(9) }} {{ l ~ 1 | replace(1, 2) }} {{ 7000000 | filesizeformat }}")  # fmt: skip

    text = render("a", {"user": User(), "d": {"a": 1}, "l": ["x", "y"]}, folder).text

    assert (
        text == "hello 03.14    x abab 1024 [0, 1, 2] [('a', 1)] x, y "
        "1000000: {2} 50% {a: 1000000} 2  1000000  ['x', 'y']2 7.0 MB"
    )


def test_many_threads_render_at_once(folder: Path) -> None:
    write(
        folder,
        a_html="{% extends 'b.html' %}{% block x %}{{ n }}{% endblock %}",
        b_html="<p>{% block x %}{% endblock %}",
    )

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda n: render("a", {"n": n}, folder).html, range(400)))

    assert got == [f"<p>{n}" for n in range(400)]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_forks_while_another_thread_renders_can_render(folder: Path) -> None:
    """Jinja2's caches have locks, which a fork would leave locked for ever."""
    write(folder, a_txt="{% include 'b.txt' %}", b_txt="b")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            render("a", {}, folder)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            child = os.fork()
            if child == 0:
                os._exit(0 if render("a", {}, folder).text == "b" else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_nothing_of_it_is_loaded_before_the_first_template() -> None:
    heavy = "{'jinja2', 'css_inline', 'turbohtml'}"
    code = f"import sys, mailworker.mail.templating.templates; print({heavy} & sys.modules.keys())"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


class TestACall:
    """`send_email(template=…)`."""

    @staticmethod
    def call(folder: Path, **arguments: Any) -> Email:
        mail = from_arguments((), {"to": "ada@example.com", **arguments}, Limits(templates=str(folder))).mail
        assert isinstance(mail, Email)
        return mail

    def test_the_template_gives_subject_text_and_html(self, folder: Path) -> None:
        write(folder, a_html="<p>{{ x }}", a_subject="About {{ x }}")

        mail = self.call(folder, template="a", context={"x": "Zoë"})

        assert (mail.subject, mail.body, mail.html) == ("About Zoë".encode(), "Zoë\n".encode(), "<p>Zoë".encode())

    def test_what_is_passed_beside_it_counts(self, folder: Path) -> None:
        write(folder, a_html="<p>x", a_txt="x", a_subject="x")

        assert self.call(folder, template="a", subject="Mine").subject == b"Mine"
        assert self.call(folder, template="a", body="mine").body == b"mine"
        assert self.call(folder, template="a", body="").body is None

    def test_without_a_subject_it_says_so(self, folder: Path) -> None:
        write(folder, a_html="<p>x")

        with pytest.raises(TypeError, match=r"subject: there is no a\.subject; write that file, or pass subject="):
            self.call(folder, template="a")
