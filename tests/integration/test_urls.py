"""Every form of a Redis URL in the documentation reaches a real server: as the spool, and as the broker made of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from mailworker.spool import connect
from mailworker.spool.server import broker, options_of, server
from mailworker.worker.transport import Connection
from tests.conftest import RedisServer, free_port, until
from tests.integration.certificates import CA, FOLDER
from tests.spools import spool_of

PASSWORD = "p@ss/w#rd?:%"


class EveryWayIn(RedisServer):
    """Clear text on IPv4 and IPv6, TLS, and a socket in a folder whose name must be written with %XX."""

    def __init__(self, folder: Path) -> None:
        self.tls_port = free_port()
        (folder / "a b").mkdir()
        self.socket = folder / "a b" / "redis.sock"
        self.ca = CA
        super().__init__(
            folder, "--bind", "127.0.0.1", "::1", "--unixsocket", str(self.socket), "--tls-port", str(self.tls_port),
            "--tls-cert-file", str(FOLDER / "good.pem"), "--tls-key-file", str(FOLDER / "good.pem"),
            "--tls-auth-clients", "no",
        )  # fmt: skip

    def form(self, text: str) -> str:
        return text.format(
            port=self.port, tls=self.tls_port, socket=quote(str(self.socket)), ca=self.ca, password=quote(PASSWORD, "")
        )


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EveryWayIn]:
    server = EveryWayIn(tmp_path_factory.mktemp("ways"))
    server.start()
    server.client().execute_command("ACL", "SETUSER", "me", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    yield server
    server.stop()


FORMS = [
    ("redis://127.0.0.1:{port}", 0),
    ("redis://127.0.0.1:{port}/", 0),
    ("redis://127.0.0.1:{port}/3", 3),
    ("redis://127.0.0.1:{port}?db=3", 3),
    ("redis://127.0.0.1:{port}/1?db=3", 3),
    ("redis://localhost:{port}/2", 2),
    ("redis://[::1]:{port}/2", 2),
    ("redis://me:{password}@127.0.0.1:{port}/1", 1),
    ("redis://:@127.0.0.1:{port}/1", 1),
    ("redis://me:@127.0.0.1:{port}/1", 1),
    ("rediss://127.0.0.1:{tls}/1?ssl_ca_certs={ca}", 1),
    ("rediss://localhost:{tls}/1?ssl_ca_certs={ca}&ssl_cert_reqs=required", 1),
    ("rediss://me:{password}@127.0.0.1:{tls}/1?ssl_cert_reqs=none", 1),
    ("rediss://127.0.0.1:{tls}/1?ssl_cert_reqs=CERT_NONE", 1),
    ("rediss://127.0.0.1:{tls}/1?ssl_cert_reqs=optional&ssl_ca_certs={ca}&ssl_check_hostname=false", 1),
    ("rediss://127.0.0.1:{tls}?db=1&ssl_ca_certs={ca}&ssl_min_version=TLSv1.2", 1),
    ("unix://{socket}", 0),
    ("unix://{socket}?db=3", 3),
    ("unix://me:{password}@{socket}?db=3", 3),
    ("redis+socket://{socket}?virtual_host=3", 3),
    (
        "redis://127.0.0.1:{port}/1?socket_timeout=0.1&socket_connect_timeout=3&socket_keepalive=true"
        "&health_check_interval=10&max_connections=1&client_name=shop&protocol=3&decode_responses=true&encoding=latin-1"
        "&retry_on_timeout=yes&timeout=5",
        1,
    ),
    ("unix://{socket}?socket_timeout=5&socket_keepalive=true&health_check_interval=10&client_name=shop", 0),
]


@pytest.mark.parametrize(("text", "database"), FORMS)
def test_the_spool_is_where_the_url_says(ways: EveryWayIn, text: str, database: int) -> None:
    client = connect(ways.form(text))
    client.flushall()
    assert spool_of(client, ["queue:email"]).accept("a", b"{}").ring
    assert redis.Redis(port=ways.port, db=database).hget("mailworker:mail:a", "payload") == b"{}"


@pytest.mark.parametrize(("text", "database"), FORMS)
def test_so_is_the_broker(ways: EveryWayIn, text: str, database: int) -> None:
    chosen = broker(ways.form(text))
    here = redis.Redis(port=ways.port, db=database)
    here.flushall()
    with Connection(chosen.url, ssl=dict(chosen.ssl) or False, transport_options=dict(chosen.options)) as connection:
        queue = connection.SimpleQueue("bell")
        queue.put({"ring": 1})
        assert until(lambda: here.llen("bell"), what="the message")
        assert queue.get(timeout=5).payload == {"ring": 1}
        queue.close()


def test_a_certificate_of_nobody_known_is_refused(ways: EveryWayIn) -> None:
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        connect(f"rediss://127.0.0.1:{ways.tls_port}/0").ping()


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("nonsense=1", "the option nonsense is not known"),
        ("socket_timout=1", "the option socket_timout is not known; did you mean socket_timeout?"),
        ("socket_timeout=ten", "the option socket_timeout: must be seconds, above 0 and up to 3600"),
        ("socket_timeout=-1", "the option socket_timeout: must be seconds, above 0 and up to 3600"),
        ("socket_timeout=nan", "the option socket_timeout: must be seconds, above 0 and up to 3600"),
        ("socket_timeout=", "the option socket_timeout: must be seconds, above 0 and up to 3600"),
        ("health_check_interval=1.5", "the option health_check_interval: must be a whole number"),
        ("max_connections=many", "the option max_connections: must be a whole number"),
        ("socket_keepalive=maybe", "the option socket_keepalive: must be true or false"),
        ("client_name=a%20b", "the option client_name: must be a word without blanks"),
        ("protocol=three", "the option protocol: must be a whole number"),
        ("ssl_ca_certs=/nowhere", "the option ssl_ca_certs is for rediss://"),
        ("db=x", "the database must be a number"),
        ("password=s3cret", "the option password is not known"),
    ],
)
@pytest.mark.parametrize("base", ["redis://127.0.0.1", "unix:///run/r.sock"])
def test_a_wrong_option_is_named(base: str, query: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem.replace('?', '[?]')}"):
        server(f"{base}?{query}")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("ssl_ca_certs=/nowhere", "the option ssl_ca_certs: there is no such file"),
        ("ssl_ca_certs={here}", "the option ssl_ca_certs: cannot be used"),
        ("ssl_certfile={here}", "the option ssl_certfile: cannot be used"),
        ("ssl_keyfile={here}", "the option ssl_keyfile needs ssl_certfile"),
        ("ssl_cert_reqs=never", "the option ssl_cert_reqs: must be required, optional or none"),
        ("ssl_ciphers=none-such", "the option ssl_ciphers: cannot be used"),
        ("ssl_min_version=1", "the option ssl_min_version: must be TLSv1.2 or TLSv1.3"),
    ],
)
@pytest.mark.parametrize("base", ["rediss://127.0.0.1", "rediss+sentinel://127.0.0.1/main"])
def test_a_wrong_option_of_tls_is_named(base: str, query: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        options_of(f"{base}?{query.format(here=__file__)}")


def test_behind_sentinel_options_hold_too() -> None:
    chosen = broker("rediss+sentinel://me:pw@a,b:1/main/2?ssl_cert_reqs=none&client_name=shop")
    assert chosen.url == "sentinel://me:pw@a:26379/2;sentinel://me:pw@b:1/2"
    assert chosen.ssl == {"ssl_cert_reqs": "none"}
    assert chosen.options == {"master_name": "main", "client_name": "shop"}
