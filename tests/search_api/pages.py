"""What the tests of the page share: small archives, a server, and a browser's page that is watched."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page

from hooke.settings import read_settings
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.app import create_app
from search_api.engine import Engine
from search_api.engine.similarity import EmbedderChoice

TAXA = """format-version: 1.2
ontology: ncbitaxon

[Term]
id: NCBITaxon:40674
name: Mammalia

[Term]
id: NCBITaxon:9989
name: Rodentia
synonym: "rodents" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:10090
name: Mus musculus
is_a: NCBITaxon:9989

[Term]
id: NCBITaxon:10116
name: Rattus norvegicus
is_a: NCBITaxon:9989

[Term]
id: NCBITaxon:9606
name: Homo sapiens
is_a: NCBITaxon:40674
"""
MARKUP = "<script>window.bad = true</script><img src=x onerror='window.bad = true'>"
MANIFEST = f"""path\ttitle\torganism\tlicence
mouse-1.png\tStripes of a mouse\tMus musculus\tCC0-1.0
mouse-2.png\t{MARKUP}\tMus musculus\tCC-BY-4.0
rat-1.png\tStripes of a rat\tRattus norvegicus\tCC-BY-4.0
human-1.png\tSpots of a person\tHomo sapiens\tCC0-1.0
human-2.png\tNoise of a person\tHomo sapiens\tCC-BY-4.0
"""


@dataclass
class Seen:
    """A page, and what it should not have done."""

    page: Page
    console: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.page.url).query)

    def titles(self) -> list[str]:
        return self.page.locator(".card h3").all_inner_texts()


def stripes(width: int) -> Image.Image:
    rows = np.zeros((96, 96), np.uint8)
    rows[(np.arange(96) // width) % 2 == 0] = 220
    return Image.fromarray(rows)


def write_images(folder: Path) -> None:
    generator = np.random.default_rng(0)
    spots = np.zeros((96, 96), np.uint8)
    spots[8::24, 8::24] = 255
    for name, width in (("mouse-1", 4), ("mouse-2", 6), ("rat-1", 8)):
        stripes(width).save(folder / f"{name}.png")
    Image.fromarray(spots).save(folder / "human-1.png")
    Image.fromarray(generator.integers(0, 255, (96, 96), np.uint8)).save(folder / "human-2.png")


def index_small_archive(root: Path) -> Path:
    """Five embedded images of three organisms."""
    folder = root / "stripes"
    folder.mkdir()
    write_images(folder)
    (folder / "manifest.tsv").write_text(MANIFEST)
    taxa = root / "taxa.obo"
    taxa.write_text(TAXA)
    settings = read_settings()
    run(IndexJob((folder,), root / "index", None, (str(taxa),), Model(settings.model, settings.weights)))
    return root / "index"


def index_unread_archive(root: Path) -> Path:
    """Thirty images whose pixels are not read."""
    folder = root / "many"
    folder.mkdir()
    for number in range(30):
        stripes(4).save(folder / f"{number:02}.png")
    rows = "".join(f"{number:02}.png\tField {number:02}\t{number}\tA{number:02}\n" for number in range(30))
    (folder / "manifest.tsv").write_text(f"path\ttitle\tpassage\twell\n{rows}")
    run(IndexJob((folder,), root / "index"))
    return root / "index"


@contextmanager
def serving(index: Path) -> Iterator[str]:
    with closing(Engine(index, EmbedderChoice())) as engine, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(engine, read_settings()), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def watched(browser: Browser, address: str) -> Iterator[Seen]:
    """A fresh page; at the end nothing was logged as an error and nothing left for another server."""
    context = browser.new_context(base_url=address)
    context.set_default_timeout(20_000)
    found = Seen(context.new_page())
    found.page.on("console", lambda message: found.console.append(message.text) if message.type == "error" else None)
    found.page.on("pageerror", lambda error: found.console.append(str(error)))
    found.page.on("request", lambda request: found.addresses.append(request.url))
    yield found
    context.close()
    foreign = [url for url in found.addresses if not url.startswith((address, f"blob:{address}"))]
    assert foreign == []
    assert found.console == []
