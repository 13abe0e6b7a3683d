"""The documents say what is so: README's commands and examples run, and every command and setting is in it."""

import ast
import doctest
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

import httpx
import pytest
from typer.main import get_command

from hooke.cli import app
from hooke.client import Archive
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings, ReadingSettings, Settings, read_settings
from hooke.store.elasticsearch.mapping import Part, index_body

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SERVED = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file name after it (or ""), and its text."""

    language: str
    name: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [Block(*parts) for parts in found if parts[0] in languages]


def shell_lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.text.splitlines() if line]


def commands() -> Iterator[tuple[str, list[set[str]]]]:
    """Every command of the command line with its options, each in all its spellings."""

    def walk(name: str, command: object) -> Iterator[tuple[str, list[set[str]]]]:
        children: dict[str, object] = getattr(command, "commands", {})
        for child, found in children.items():
            yield from walk(f"{name} {child}", found)
        if not children:
            spellings = [{*each.opts, *each.secondary_opts} for each in getattr(command, "params", ())]
            yield name, [options for options in spellings if all(option.startswith("-") for option in options)]

    yield from walk("hooke", get_command(app))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as after `make demo`: the demo archive and its index, and `hooke` as a command."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "bin").mkdir()
    command = folder / "bin" / "hooke"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m hooke "$@"\n')
    command.chmod(0o755)
    (folder / "indexer").symlink_to(ROOT / "indexer")
    run(folder, "hooke demo --dir demo")
    return folder


def in_shell(folder: Path, command: str) -> list[str]:
    """A command line that runs a command in bash, where `hooke` is this checkout's."""
    settings = f'export PATH={shlex.quote(str(folder / "bin"))}:"$PATH" PYTHONPATH={shlex.quote(str(ROOT))} TERM=dumb'
    return ["bash", "-c", f"{settings}; {command}"]


def run(folder: Path, command: str) -> str:
    done = subprocess.run(in_shell(folder, command), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_session_of_the_readme_prints_what_it_shows(workplace: Path) -> None:
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for block in blocks("console", "csv", "toml"):
        if block.name:
            (workplace / block.name).write_text(block.text, encoding="utf-8")
            continue
        for step in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            printed = run(workplace, command)
            assert checker.check_output(shown, printed, flags), f"$ {command}\n{printed}\ninstead of\n{shown}"


@pytest.fixture(scope="module")
def server(workplace: Path) -> Iterator[str]:
    """The address of the server that the README starts, on a free port."""
    line = next(line for line in shell_lines() if line.startswith("hooke serve"))
    command = in_shell(workplace, f"exec {line.replace('--port 8000', '--port 0')}")
    process = subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    found = next((m for log in process.stderr if (m := re.search(r"running on (http://[\d.:]+)", log))), None)
    assert found, "the server ended before it listened"
    yield found.group(1)
    process.terminate()
    process.communicate(timeout=30)


def send(command: str, server: str, folder: Path) -> httpx.Response:
    """What a curl command line asks, asked without curl."""
    words = iter(shlex.split(command)[1:])
    url, form, body, headers = "", [], None, {}
    for word in words:
        if word == "-F":
            name, _, value = next(words).partition("=")
            content = (folder / value[1:]).read_bytes() if value.startswith("@") else value.encode()
            form.append((name, (Path(value).name if value.startswith("@") else None, content)))
        elif word == "-d":
            body = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word != "-s":
            url = word.replace(SERVED, server)
    method = "POST" if form or body else "GET"
    return httpx.request(method, url, files=form or None, content=body, headers=headers, timeout=120)


def test_the_http_examples_of_the_readme_find_something(workplace: Path, server: str) -> None:
    examples = [line for line in shell_lines() if line.startswith("curl ")]
    assert examples
    for example in examples:
        response = send(example, server, workplace)
        assert response.status_code == 200, f"{example}\n{response.text}"
        answer = json.loads(response.text)
        assert any(answer.get(name) for name in ("hits", "id", "completions", "values")), f"{example}\n{response.text}"


def test_the_notebook_example_of_the_readme_runs(workplace: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    (example,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(ast.parse(example.text.replace(SERVED, server)), "README.md", "exec"), names)
    found, alike = names["found"], names["alike"]
    assert getattr(found, "total", 0) == len(getattr(names["table"], "index", ())) > 0
    assert "<img" in getattr(alike, "_repr_html_", str)()
    assert len(getattr(names["both"], "index", ())) == 5
    archive = names["archive"]
    assert isinstance(archive, Archive)
    archive.close()


def test_every_command_and_option_is_in_the_readme() -> None:
    rows = {line.split("`")[1]: line for line in README.splitlines() if line.startswith("| `hooke ")}
    for command, options in commands():
        row = next((row for usage, row in rows.items() if f"{usage} ".startswith(f"{command} ")), None)
        assert row, f"{command} has no row in the README's table of commands"
        for spellings in options:
            said = any(re.search(rf"(?<![\w-]){spelling}(?![\w-])", row) for spelling in spellings)
            assert said or spellings & {"--json", "--help"}, f"{command}: {spellings} is not in its row"


def test_every_make_target_and_option_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = dict(commands())
    steps = [step for block in blocks("console") for step in re.findall(r"^\$ (.*)", block.text, flags=re.MULTILINE)]
    for line in [*shell_lines(), *steps]:
        words = shlex.split(line)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE), line
        if words[0] == "hooke":
            name = next(name for name in known if f"{line} ".startswith(f"{name} "))
            assert {word for word in words if re.fullmatch(r"-k|--[a-z-]+", word)} <= set().union(*known[name]), line


_IN_WORDS = {"nodes": "URL", "timeout_s": "TIMEOUT_SECONDS", "bulk_timeout_s": "BULK_TIMEOUT_SECONDS"}


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_setting_is_in_the_readme_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {f"HOOKE_{f.name.upper()}": f.name for f in fields(Settings) if f.name not in ("cluster", "reading")}
    names |= {
        f"HOOKE_IMAGE_{f.name.removesuffix('_bytes').upper()}": f"reading.{f.name}" for f in fields(ReadingSettings)
    }
    names |= {
        f"HOOKE_ELASTICSEARCH_{_IN_WORDS.get(f.name, f.name.upper())}": f"cluster.{f.name}"
        for f in fields(ClusterSettings)
    }
    for name in names:
        monkeypatch.delenv(name, raising=False)
    defaults = read_settings()
    table = dict(re.findall(r"^\| `(HOOKE_\w+)` \| *`?([^|` ]*)`? *\|", README, flags=re.MULTILINE))
    shown = {name: attrgetter(attribute)(defaults) for name, attribute in names.items()}
    assert table == {
        name: "" if value is None else f"{value:g}" if isinstance(value, float) else _shown(value)
        for name, value in shown.items()
    }


def test_every_route_is_in_the_readme() -> None:
    routes = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "search_api").glob("*routes.py"))
    found = {f"/v1{path.replace(':path', '')}" for path in re.findall(r"@router\.\w+\(\s*\"([^\"]+)\"", routes)}
    operations = set(re.findall(r"@app\.get\(\"(/\w+)\"", (ROOT / "search_api" / "app.py").read_text(encoding="utf-8")))
    named = README.replace("{image_id}", "{id}").replace("{study_id}", "{id}")
    for path in found | operations:
        assert path.replace("image_id", "id").replace("study_id", "id") in named, path


def test_the_architecture_page_is_one_page_and_names_every_package() -> None:
    assert len(ARCHITECTURE.splitlines()) <= 70
    assert max(map(len, ARCHITECTURE.splitlines())) <= 140
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert packages
    for package in [*packages, *(f"{p.parent.name}/" for p in (ROOT / "hooke").glob("*/__init__.py"))]:
        assert package in ARCHITECTURE, package


def test_the_page_on_elasticsearch_shows_what_every_method_of_a_store_becomes() -> None:
    contract = ast.parse((ROOT / "hooke" / "store" / "base.py").read_text(encoding="utf-8"))
    classes = [
        n for n in contract.body if isinstance(n, ast.ClassDef) and n.name in ("MetadataReader", "MetadataWriter")
    ]
    methods = {node.name for each in classes for node in each.body if isinstance(node, ast.FunctionDef)}
    page = (ROOT / "docs" / "elasticsearch.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    assert len(classes) == 2
    assert methods <= {name for row in rows for name in re.findall(r"`(\w+)", row)}


def test_the_page_on_elasticsearch_explains_every_field_of_the_mapping() -> None:
    page = (ROOT / "docs" / "elasticsearch.md").read_text(encoding="utf-8")
    named = {name.split(".")[0] for name in re.findall(r"`([\w.*]+)`", page)}
    for part in Part:
        assert set(index_body(part, "uid", DEFAULT_CLUSTER)["mappings"]["properties"]) <= named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (document.parent / target).exists(), target


def test_every_decision_has_its_four_parts() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path
        assert all(part in text for part in ("Status: ", "**Context.**", "**Decision", "**Consequences.**")), path
