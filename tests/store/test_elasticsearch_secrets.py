"""TLS and credentials. The distribution that the other tests run has no security, so a small server with a certificate
of its own stands here where the cluster would be: what is tested is what Hooke sends, trusts and repeats.
"""

import json
import logging
import os
import shutil
import ssl
import subprocess
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest

from hooke.errors import BackendUnavailable, BadInput, HookeError
from hooke.settings import ClusterSettings, read_settings
from hooke.store.elasticsearch import ElasticsearchStore
from hooke.store.elasticsearch.cluster import Cluster
from hooke.store.location import Location, read_location
from tests.elasticsearch_index import emptied

USER, PASSWORD, API_KEY = "someone-private", "hunter2-of-the-lab", "a2V5LW9mLXRoZS1sYWI6c2VjcmV0"
BASIC = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (USER, PASSWORD, API_KEY, BASIC)
REPOSITORY = Path(__file__).parents[2]
COUNT = {"hits": {"hits": []}, "_shards": {"total": 1, "successful": 1, "failed": 0}}
REFUSAL = {"error": {"type": "security_exception", "reason": "unable to authenticate user"}, "status": 401}


@dataclass
class Server:
    """What stands where the cluster would be. refusing: it knows no credentials; sent: those it was given."""

    url: str
    certificate: Path
    refusing: bool = False
    sent: list[str | None] = field(default_factory=list)

    @property
    def location(self) -> Location:
        return Location((self.url,))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, signed by itself, with its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with: install openssl")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run([*command, "-keyout", str(path), "-out", str(path) + ".crt"], check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(Path(f"{path}.crt").read_bytes())
    return path


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a handshake that is broken off is what some tests are about."""


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    described = Server("", Path(f"{certificate}.crt"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            described.sent.append(self.headers.get("Authorization"))
            body = json.dumps(REFUSAL if described.refusing else COUNT).encode()
            self.send_response(401 if described.refusing else 200)
            for name, value in {
                "X-Elastic-Product": "Elasticsearch",
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what it would say is not what is tested."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with QuietServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        described.url = f"https://localhost:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield described
        listening.shutdown()
        thread.join()


def ask(server: Server, settings: ClusterSettings) -> None:
    with closing(Cluster(server.location, settings)) as cluster:
        cluster.search("any", {})


def settings_of(monkeypatch: pytest.MonkeyPatch, **given: str) -> ClusterSettings:
    """The settings of an environment."""
    for name, value in given.items():
        monkeypatch.setenv(f"HOOKE_ELASTICSEARCH_{name}", value)
    return read_settings().cluster


def told(exc: BaseException | None) -> str:
    """All that an exception, its causes and its attributes say."""
    found = []
    while exc is not None:
        found += [str(exc), repr(exc), repr(vars(exc)), "".join(traceback.format_exception(exc))]
        exc = exc.__cause__ or exc.__context__
    return "\n".join(found)


def assert_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


# --- TLS -------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(server: Server) -> None:
    with pytest.raises(BackendUnavailable, match=r"is not trusted.*HOOKE_ELASTICSEARCH_CA_CERTS") as raised:
        ask(server, ClusterSettings(user=USER, password=PASSWORD))
    assert server.url in str(raised.value)
    assert "\n" not in str(raised.value)
    assert server.sent == []


def test_a_named_authority_is_trusted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(server, settings_of(monkeypatch, CA_CERTS=str(server.certificate)))
    assert server.sent == [None]


def test_a_certificate_of_another_host_is_not_trusted(server: Server) -> None:
    elsewhere = Server(server.url.replace("localhost", "127.0.0.1"), server.certificate)
    with pytest.raises(BackendUnavailable, match="is not trusted"):
        ask(elsewhere, ClusterSettings(ca_certs=server.certificate))


def test_a_file_of_authorities_that_is_not_there_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HookeError, match="HOOKE_ELASTICSEARCH") as raised:
        ask(server, ClusterSettings(ca_certs=tmp_path / "absent.pem", user=USER, password=PASSWORD))
    assert "\n" not in str(raised.value)
    assert_secret(told(raised.value))


def test_trusting_anybody_is_said_once_and_loudly(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(monkeypatch, VERIFY_CERTS="false")
    with caplog.at_level(logging.WARNING), closing(Cluster(server.location, settings)) as cluster:
        for _ in range(3):
            cluster.search("any", {})
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "HOOKE_ELASTICSEARCH_VERIFY_CERTS=false" in warning.getMessage()
    assert server.url in warning.getMessage()


# --- credentials -----------------------------------------------------------------------------------------------------


def test_credentials_are_sent_and_nothing_else_repeats_them(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOOKE_ELASTICSEARCH_CA_CERTS", str(server.certificate))
    with monkeypatch.context() as first:
        key = settings_of(first, API_KEY=API_KEY)
    pair = settings_of(monkeypatch, USER=USER, PASSWORD=PASSWORD)
    with every_logger(caplog):
        for settings in (key, pair):
            ask(server, settings)
            assert_secret(repr(settings).replace(USER, ""))
        server.refusing = True
        for settings in (key, pair):
            with pytest.raises(BackendUnavailable, match=r"refuses these credentials \(401\)") as raised:
                ask(server, settings)
            assert_secret(told(raised.value))
    assert server.sent == [f"ApiKey {API_KEY}", f"Basic {BASIC}"] * 2
    assert caplog.records, "nothing was logged: the test shows nothing"
    assert_secret(caplog.text)


@contextmanager
def every_logger(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every logger of the process tells everything."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("elastic", "urllib3", "hooke"))]
    levels = {name: logging.getLogger(name).level for name in names}
    assert {"elastic_transport.transport", "urllib3.connectionpool"} <= levels.keys()
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG)
        with caplog.at_level(logging.DEBUG):
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"API_KEY": API_KEY}, {"USER": USER, "PASSWORD": PASSWORD}], ids=["key", "pair"])
def test_the_command_and_the_index_directory_hold_no_credentials(
    elasticsearch_url: str, tmp_path: Path, given: dict[str, str]
) -> None:
    """A cluster without security takes any credentials, and `info` and the directory must not keep them."""
    index, pictures = tmp_path / "index", tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "manifest.csv").write_text("path,organism\none.png,mouse\n", encoding="utf-8")
    environment = {f"HOOKE_ELASTICSEARCH_{name}": value for name, value in given.items()}
    location = Location((elasticsearch_url,), f"secrets-{uuid4().hex[:12]}")
    with emptied(location):
        new = ("--no-embed", "--index", str(index), "--store", str(location))
        made = hooke(environment, "index", str(pictures), *new)
        assert made.returncode == 0, made.stderr
        said = hooke(environment, "info", "--index", str(index), "--json")
        assert location.prefix in said.stdout
    nowhere = environment | {"HOOKE_ELASTICSEARCH_URL": "http://127.0.0.1:9"}
    failed = hooke(nowhere, "info", "--index", str(index))
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert_secret(made.stdout + made.stderr + said.stdout + said.stderr + failed.stdout + failed.stderr)
    files = [path for path in index.rglob("*") if path.is_file()]
    assert files
    assert_secret("".join(path.read_bytes().decode("latin-1") for path in files))


@pytest.mark.parametrize(
    "url",
    [
        "http://{user}:{password}@host:9200/mice",
        "https://host:9200,https://{user}:{password}@host/mice",
        "https://{user}@host:9200",
        "{user}:{password}@host:9200/mice",
        "htp://{user}:{password}@host:9200",
        "http://{user}:12/{password}@host:9200/mice",
        "http://{user}:,{password}@host:9200/mice",
        "http://{user}:#{password}@host:9200/mice",
        "http://{user}:?{password}@host:9200/mice",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadInput, match=r"no credentials.*HOOKE_ELASTICSEARCH_API_KEY") as raised:
        read_location(url.format(user=USER, password=PASSWORD))
    assert_secret(told(raised.value))


def test_credentials_in_the_url_of_a_command_are_refused_and_not_repeated(tmp_path: Path) -> None:
    url = f"http://{USER}:{PASSWORD}@host:9200/mice"
    refused = hooke({}, "index", str(tmp_path), "--index", str(tmp_path / "index"), "--store", url)
    assert refused.returncode == 2
    assert "no credentials" in refused.stderr
    assert_secret(refused.stdout + refused.stderr)


def test_credentials_in_the_address_of_the_environment_are_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(monkeypatch, URL=f"http://{USER}:{PASSWORD}@host:9200")
    with pytest.raises(BadInput, match="no credentials") as raised:
        ElasticsearchStore(tmp_path / "metadata.sqlite", settings, Location(("http://host:9200",)))
    assert_secret(str(raised.value))


def hooke(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hooke", *arguments]
    whole = os.environ | environment
    return subprocess.run(command, cwd=REPOSITORY, env=whole, capture_output=True, text=True, timeout=120, check=False)
