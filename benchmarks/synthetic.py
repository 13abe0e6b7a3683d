"""Records in any number, shaped like the archives': a thousand images to a study, prose on studies, terms on both."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from hooke.model import Dataset, Image, Mention, Method, Study, Value

IMAGES_OF_A_STUDY = 1_000
TERMS = 2_000
_ORGANISMS, _METHODS, _GENES, _WORDS = TERMS, 60, 20_000, 30_000


def _zipf(count: int) -> list[float]:
    return list(accumulate(1 / (rank + 1) for rank in range(count)))


_ORGANISM_ODDS, _METHOD_ODDS, _WORD_ODDS = _zipf(_ORGANISMS), _zipf(_METHODS), _zipf(_WORDS)


def studies(images: int) -> Iterator[Study]:
    """The studies of so many images; the same ones at every call."""
    for number in range((images + IMAGES_OF_A_STUDY - 1) // IMAGES_OF_A_STUDY):
        chance = random.Random(number)
        yield Study(
            f"B-{number}",
            f"Imaging of {_prose(chance, 6)}",
            (
                _value("description", _prose(chance, 150)),
                _value("protocol_description", _prose(chance, 200)),
                _term("imaging_method", "FBbi", chance.choices(range(_METHODS), cum_weights=_METHOD_ODDS)[0]),
                _value("licence", chance.choice(("CC BY 4.0", "CC0", "CC BY-NC 4.0"))),
                _value("year", str(chance.randint(2008, 2026))),
                _value("archive", chance.choice(("idr", "bia", "ssbd"))),
                *(_value("authors", _prose(chance, 2)) for _ in range(4)),
            ),
            (Dataset("screenA"),),
            ("benchmark",),
        )


def images(count: int) -> Iterator[Image]:
    """So many images, study by study; the same ones at every call."""
    for number in range(count):
        if number % IMAGES_OF_A_STUDY == 0:
            chance = random.Random(f"images {number}")
            organism = chance.choices(range(_ORGANISMS), cum_weights=_ORGANISM_ODDS)[0]
        study, gene = f"B-{number // IMAGES_OF_A_STUDY}", chance.randrange(_GENES)
        plate, well = number % IMAGES_OF_A_STUDY // 384, number % 384
        place = f"plate{plate}/{'ABCDEFGHIJKLMNOP'[well // 24]}{well % 24 + 1}"
        yield Image(
            f"{study}/{place}-{number}",
            study,
            f"{place} {number}.tif",
            "screenA",
            (
                _term("organism", "NCBITaxon", organism if chance.random() < 0.9 else chance.randrange(_ORGANISMS)),
                _value("gene_symbol", f"GENE{gene}"),
                _value("gene_identifier", f"ENSG{gene:011d}"),
                _value("plate", f"plate{plate}"),
                _value("well", place.rpartition("/")[2]),
                _value("channels", "Hoechst:nuclei"),
                _value("channels", "GFP:protein of interest"),
                _value("sirna_identifier", f"s{chance.randrange(200_000)}"),
                _value("cell_count", str(chance.randrange(500))),
            ),
        )


@cache
def _value(field: str, text: str) -> Value:
    """As sources give values: the same one is the same object."""
    return Value(field, text)


@cache
def _term(field: str, prefix: str, number: int) -> Value:
    term, label = f"{prefix}:{number}", f"{field.replace('_', ' ')} {number}"
    return Value(field, label, (term,), (Mention(field, label, term, label, Method.ID, 1.0),))


def _prose(chance: random.Random, words: int) -> str:
    return " ".join(f"word{n}" for n in chance.choices(range(_WORDS), cum_weights=_WORD_ODDS, k=words))
