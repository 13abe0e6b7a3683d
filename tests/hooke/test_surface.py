"""What the packages promise from outside: light imports, one reader of the environment, public names, the wheel."""

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import hooke
from search_api.engine import EmbedderChoice, Engine
from tests.small_index import serving, shared_index

ROOT = Path(__file__).parents[2]
PACKAGES = ("hooke", "indexer", "ontologies", "search_api")
HEAVY = ("torch", "timm", "faiss", "pronto", "fastapi", "elasticsearch", "zarr", "tifffile", "PIL", "numpy", "pandas")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_importing_hooke_loads_no_heavy_library() -> None:
    program = f"import sys, hooke; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_archive_and_connect() -> None:
    assert hooke.__all__ == ["Archive", "connect"]
    assert all(hasattr(hooke, name) for name in hooke.__all__)


def reads_environment(path: Path) -> bool:
    """Whether a module names os.environ or os.getenv."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return bool({"environ", "environb", "getenv", "getenvb"} & (named | imported))


def test_only_settings_reads_the_environment() -> None:
    assert [path.relative_to(ROOT).as_posix() for path in sources() if reads_environment(path)] == ["hooke/settings.py"]


def test_no_module_prints_but_by_the_command() -> None:
    def prints(path: Path) -> bool:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))

    assert [path for path in sources() if prints(path)] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_just_the_four_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name.split("/")[0]} == set(PACKAGES)
    assert "search_api/docs.html" in names
    assert not [name for name in names if name.startswith("tests/") or name.endswith((".sqlite", ".pyc"))]


def test_the_wheel_cannot_be_uploaded_by_mistake(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert "Private :: Do Not Upload" in archive.read(metadata).decode()


@pytest.mark.slow
def test_the_base_install_connects_to_a_server(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), str(wheel)], check=True)
    program = (
        "import sys, hooke\n"
        "archive = hooke.connect(sys.argv[1])\n"
        "found = archive.search('light microscopy', level='image', facets=['organism'], page_size=3)\n"
        "print(len(list(found)), len(found.to_pandas()), len(archive.similar('mice/plain.png', k=4)))\n"
        "print(archive.info().embedded, archive.study('mice').images, 'jpeg' in found._repr_html_())\n"
        f"print([name for name in {HEAVY[:-2]} if name in sys.modules])\n"
        "try:\n"
        "    hooke.connect('.')\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    with closing(Engine(shared_index(), EmbedderChoice())) as engine, serving(engine) as url:
        command = [str(python), "-c", program, url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    numbers, state, heavy, refusal = done.stdout.splitlines()
    assert (numbers, state, heavy) == ("8 8 4", "12 4 True", "[]")
    assert "extras" in refusal
