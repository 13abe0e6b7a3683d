"""A real Elasticsearch for tests, without containers: fetched by Maven, run on free ports, gone afterwards."""

import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

VERSION = "9.5.0"
START_SECONDS = 180
NO_SETTINGS: Mapping[str, object] = {}
_ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
_REPOSITORY = Path(".m2/repository/org/elasticsearch/distribution/integ-test-zip/elasticsearch")
_JAVA = 21
"""What Elasticsearch 9 needs at least."""
_PORTS = range(20000, 32000)
"""Below those that the system gives to outgoing connections, so that a node finds its port free after a restart."""

# Run as a group of its own with a pipe as standard input. However the test session ends, the pipe closes with it:
# then the node, its folder and the rest of the group go. $0: the node's folder.
_KEPT = """
exec 3<&0 </dev/null
( read -r _ <&3; kill -KILL "$(cat "$0/pid")"; rm -rf "$0"; kill -KILL 0 ) &
exec 3<&-
exec "$@"
"""


def given_url() -> str | None:
    """The one-node cluster that the environment names for the tests, if it does."""
    return os.environ.get("HOOKE_TEST_ELASTICSEARCH_URL") or None


@dataclass(frozen=True)
class Installation:
    """The unpacked distribution, which nodes share and never write to, and the Java that runs it."""

    home: Path
    java: Path


@dataclass
class Node:
    """One node on its port of 127.0.0.1. Its folder outlives a kill, so that it can be started again."""

    installation: Installation
    folder: Path
    port: int
    heap_mb: int
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the server, not of its launcher. Raises FileNotFoundError before the server has begun."""
        return int((self.folder / "pid").read_text(encoding="ascii"))

    def start(self) -> None:
        """Start the process; `Cluster.wait_for` says when it is there."""
        (self.folder / "pid").unlink(missing_ok=True)
        account = _account()
        server = [str(self.installation.home / "bin/elasticsearch"), "--pidfile", str(self.folder / "pid")]
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", _KEPT, str(self.folder), *server],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
                start_new_session=True,  # an interrupt from the keyboard is for the tests
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=() if account else None,
            )

    def kill(self) -> None:
        """End the server at once, as a power cut does: SIGKILL to its process id."""
        if self.process is None:
            return
        with suppress(FileNotFoundError, ValueError, ProcessLookupError, subprocess.TimeoutExpired):
            os.kill(self.pid, signal.SIGKILL)
            # its launcher ends after it, so that it has let go of port and files
            self.process.wait(timeout=30)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, the server accepts connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "ES_JAVA_HOME": str(self.installation.java),
            "ES_JAVA_OPTS": f"-Xms{self.heap_mb}m -Xmx{self.heap_mb}m",
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
        }


@dataclass(frozen=True)
class Cluster:
    """Nodes that found each other. Each can be killed, started again, and paused."""

    nodes: tuple[Node, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url for node in self.nodes)

    def wait_for(self, nodes: int) -> None:
        """Return when each running node says that the cluster has this many. Raises RuntimeError with a log."""
        deadline = time.monotonic() + START_SECONDS
        for node in self.nodes:
            while node.process and not _counts(node, nodes):
                if node.process.poll() is not None or time.monotonic() > deadline:
                    log = (node.folder / "output.txt").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"no Elasticsearch of {nodes} nodes at {node.url}:\n{log[-4000:]}")
                time.sleep(0.2)


def _counts(node: Node, nodes: int) -> bool:
    try:
        return httpx.get(f"{node.url}/_cluster/health?wait_for_nodes={nodes}&timeout=2s", timeout=5).is_success
    except httpx.TransportError:
        return False


@contextmanager
def running_cluster(
    nodes: int = 1, heap_mb: int = 1024, settings: Mapping[str, object] = NO_SETTINGS
) -> Iterator[Cluster]:
    """A cluster of its own on this machine, empty, and removed afterwards. Skips the test where a part is missing.

    settings: of every node, over those that it has here anyway.
    """
    installation = Installation(_unpacked(), _java())
    ports = _free_ports(2 * nodes)
    transport = ports[nodes:]
    with ExitStack() as stack:
        made = []
        for number, port in enumerate(ports[:nodes]):
            folder = Path(tempfile.mkdtemp(prefix="hooke-elasticsearch-"))
            node = Node(installation, folder, port, heap_mb)
            stack.callback(node.remove)
            _configure(node, {**_node_settings(node, number, transport), **settings})
            made.append(node)
        for node in made:
            node.start()
        cluster = Cluster(tuple(made))
        cluster.wait_for(nodes)
        yield cluster


def _node_settings(node: Node, number: int, transport: Sequence[int]) -> Mapping[str, object]:
    alone = {"discovery.type": "single-node"}
    together = {
        "cluster.initial_master_nodes": [f"node-{each}" for each in range(len(transport))],
        "discovery.seed_hosts": [f"127.0.0.1:{port}" for port in transport],
    }
    return {
        "cluster.name": "hooke-tests",
        "node.name": f"node-{number}",
        "network.host": "127.0.0.1",
        "http.port": node.port,
        "transport.port": transport[number],
        "path.data": str(node.folder / "data"),
        "path.logs": str(node.folder / "logs"),
        # a developer's disk may be nearly full
        "cluster.routing.allocation.disk.threshold_enabled": False,
        "xpack.security.enabled": False,
        **(alone if len(transport) == 1 else together),
    }


def _configure(node: Node, settings: Mapping[str, object]) -> None:
    config = node.folder / "config"
    shutil.copytree(node.installation.home / "config", config)
    # JSON is YAML
    (config / "elasticsearch.yml").write_text(json.dumps(settings), encoding="utf-8")
    (node.folder / "tmp").mkdir()
    account = _account()
    if account:
        for path in (node.folder, *node.folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)


def _account() -> pwd.struct_passwd | None:
    """Who runs a node where the tests run as root, which Elasticsearch refuses; None: who runs the tests."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _free_ports(count: int) -> list[int]:
    free: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(free) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
    return free


def _java() -> Path:
    """The newest Java that Elasticsearch runs on, or the one that the environment names if it does."""
    named = [Path(os.environ[name]) for name in ("ES_JAVA_HOME", "JAVA_HOME") if os.environ.get(name)]
    for homes in (named, sorted(Path("/usr/lib/jvm").glob("*"), key=_java_version, reverse=True)):
        for home in homes:
            if _java_version(home) >= _JAVA:
                return home
    pytest.skip(f"no Java {_JAVA} or newer: install openjdk-21-jdk-headless, or set ES_JAVA_HOME to a JDK")


def _java_version(home: Path) -> int:
    """The major version, 0 for a folder that is no Java."""
    release = home / "release"
    if not release.is_file() or not (home / "bin/java").is_file():
        return 0
    found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return int(found[1]) if found else 0


def _unpacked() -> Path:
    """The distribution's folder, unpacked once for all sessions, where other accounts can read it."""
    home = _cache() / f"elasticsearch-{VERSION}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as staging:
        _unpack(_fetched(Path(staging)), Path(staging))
        # another session may have been faster, with the same
        with suppress(OSError):
            (Path(staging) / home.name).rename(home)
    return home


def _cache() -> Path:
    # the account that runs the nodes cannot look into root's home
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path("/var/cache") if _account() else users) / "hooke-tests"


def _fetched(folder: Path) -> Path:
    name = f"elasticsearch-{VERSION}.zip"
    local = Path.home() / _REPOSITORY / VERSION / name
    if local.is_file():
        return local
    if not shutil.which("mvn"):
        pytest.skip("no Maven to fetch Elasticsearch with: install maven")
    # Maven knows its settings, mirrors and local repository; strict about checksums
    command = ["mvn", "-B", "-q", "-C", "dependency:copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"Maven could not fetch {_ARTIFACT}: {done.stdout.strip()[:500]}")
    return folder / name


def _unpack(file: Path, folder: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, folder))
            path.chmod(0o755 if member.is_dir() or (member.external_attr >> 16) & 0o100 else 0o644)
