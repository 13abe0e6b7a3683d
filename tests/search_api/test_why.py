"""`hooke why`, as it is printed: exactly the texts in `golden/why.txt`.

A change on purpose: `python -m tests.search_api.test_why` writes them anew; read the difference then.
"""

import io
from contextlib import closing
from pathlib import Path

from rich.console import Console

from hooke import show
from hooke.request import SearchRequest, read_conditions, read_expand
from search_api.engine import EmbedderChoice, Engine
from tests.small_index import image_id, shared_index

GOLDEN = Path(__file__).parent / "golden" / "why.txt"
ASKED = (
    ("plain.png", "rodents", None, ()),
    ("plain.png", "brain AND light microscopy", None, ()),
    ("tag#1.png", "rodents AND brain", None, ()),
    ("yeast1.png", "S. cerevisiae OR mouse", None, ()),
    ("yeast2.tif", "NCBITaxon:41870 NOT (brain OR heart)", None, ()),
    ("what?.png", "NOT mouse", None, ()),
    ("a b.png", "neurons", "is_a", ()),
    ("é ü.png", 'mull* AND "Müller cells" AND size_x:[10 TO 20]', None, ()),
    ("tag#1.png", "flourescense~ cells", None, ()),
    ("what?.png", "EM", None, ("organism=Mammalia", "gene=actb")),
    ("a b.png", '"nucleus DAPI', None, ()),
)


def printed(engine: Engine) -> str:
    """What the command prints for each of the questions."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=160, highlight=False, markup=False)
    for name, text, expand, filters in ASKED:
        chosen, ranges = read_conditions(filters, ())
        request = SearchRequest(text=text, filters=chosen, ranges=ranges, expand=read_expand(expand))
        console.print(f"$ hooke why {image_id(name)!r} {text!r} {' '.join(filters)}".rstrip(), soft_wrap=True)
        show.explanation(engine.why(image_id(name), request), console)
        console.print()
    return buffer.getvalue()


def test_explanations_are_printed_as_agreed(engine: Engine) -> None:
    # scores are each store's own
    assert _without_scores(printed(engine)) == _without_scores(GOLDEN.read_text(encoding="utf-8"))


def _without_scores(text: str) -> list[str]:
    return [line.partition(", score ")[0] if line.startswith("matches") else line for line in text.splitlines()]


if __name__ == "__main__":
    with closing(Engine(shared_index(), EmbedderChoice())) as opened:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(printed(opened), encoding="utf-8")
