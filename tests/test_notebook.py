"""The notebook runs, against a server and on a directory, and is kept without output."""

from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from search_api.engine import EmbedderChoice, Engine
from tests.small_index import serving, shared_index

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def run(where: str, picture: str | None) -> list[str]:
    """Run the notebook on an archive. Returns what its cells show."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source = f"ARCHIVE = {where!r}\nPICTURE = {picture!r}"
    # in the checkout, so that the kernel imports this code
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parents[1])}}).execute()
    return [str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.slow
def test_the_notebook_runs_against_a_server() -> None:
    index = shared_index()
    with closing(Engine(index, EmbedderChoice())) as engine, serving(engine) as url:
        shown = "\n".join(run(url, str(index.parent / "pictures" / "plain.png")))
    assert "data:image/jpeg;base64," in shown
    assert "Mus musculus" in shown
    assert "did you mean organism" in shown


@pytest.mark.slow
def test_the_notebook_runs_on_a_directory() -> None:
    shown = "\n".join(run(str(shared_index()), None))
    assert "5 studies, 42 images, 12 of them embedded" in shown


def test_the_notebook_is_kept_without_output() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
