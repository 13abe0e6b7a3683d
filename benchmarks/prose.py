"""How well the terms that prose names are found, measured on sentences marked by hand.

Run: python -m benchmarks.prose [--ontologies DIR] [--misses]      DIR keeps the compiled ontologies for the next run

Gold: `tests/real/prose_gold.tsv`, 300 sentences as record, field, place and digest, each with the places and terms of
what it names; docs/grounding.md says by which rule. A tag is right where term and place are the mark's: a last noun
that adds nothing ("cells", "microscopy", "images") may be in or out of either, and a term of another ontology is the
same thing by the rule of `benchmarks.grounding`. Each text is tagged whole, with nothing known of its record.

"records" compares the terms of a sentence as a set, which is what a search sees of it.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from benchmarks.grounding import ALL, Outcome, Score, open_ontologies, same
from hooke.model import TermId, Value
from hooke.settings import read_settings
from hooke.text import located
from indexer.sources import Quarantined, discover, read_images, read_studies
from ontologies.catalogue import Catalogue
from ontologies.names import normal
from ontologies.prose import Tagger
from ontologies.prose_words import METHOD_NOUNS

GOLD = Path(__file__).parent.parent / "tests" / "real" / "prose_gold.tsv"
_TAILS = METHOD_NOUNS | {"cell", "line", "microscopy"}


@dataclass(frozen=True, slots=True)
class Named:
    """A term and where in its sentence it is named."""

    start: int
    end: int
    term: TermId
    field: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A marked sentence: the text it is in, its place there, and what it names."""

    text: str
    start: int
    end: int
    marks: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """A mark that was not found, or a tag that no mark has."""

    outcome: Outcome
    named: Named
    words: str
    sentence: str


def read_texts(metadata: Path) -> dict[tuple[str, str], set[str]]:
    """Every text of every field of the records of a folder."""
    texts: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for source in discover([metadata], quarantine=_pass_over).inputs:
        for study in read_studies(source, _pass_over):
            values = (Value("title", study.title), *study.values)
            for value in values + tuple(value for dataset in study.datasets for value in dataset.values):
                texts[study.id, value.field].add(value.text)
        for image in read_images(source, _pass_over):
            for value in image.values:
                texts[image.id, value.field].add(value.text)
    return texts


def _pass_over(_: Quarantined) -> None:
    """What cannot be read has no sentences."""


def read_gold(texts: dict[tuple[str, str], set[str]]) -> tuple[Sentence, ...]:
    """The marked sentences, found again in their records. Raises LookupError for one that is not there."""
    with GOLD.open(encoding="utf-8", newline="") as file:
        return tuple(_sentence(row, texts) for row in csv.DictReader(file, delimiter="\t"))


def _sentence(row: dict[str, str], texts: dict[tuple[str, str], set[str]]) -> Sentence:
    start, end = int(row["start"]), int(row["end"])
    for text in texts[row["record"], row["field"]]:
        if blake2b(text[start:end].encode(), digest_size=8).hexdigest() == row["digest"]:
            return Sentence(text, start, end, tuple(map(_mark, row["marks"].split())))
    raise LookupError(f"{row['record']} {row['field']}: its text has changed since it was marked")


def _mark(written: str) -> Named:
    place, _, named = written.partition("=")
    start, _, end = place.partition("-")
    term, _, field = named.rpartition("@")
    return Named(int(start), int(end), term, field)


def tagged(sentence: Sentence, tagger: Tagger) -> tuple[Named, ...]:
    """What the tagger finds in a sentence, reading the text it is in."""
    return tuple(
        Named(tag.start - sentence.start, tag.end - sentence.start, tag.term, tag.field)
        for tag in tagger.tag(sentence.text)
        if sentence.start <= tag.start and tag.end <= sentence.end
    )


def scores(
    sentences: Iterable[Sentence], tagger: Tagger, catalogue: Catalogue
) -> tuple[dict[str, Score], dict[str, Score], list[Miss]]:
    """By field, the score over places and over the terms of each sentence; and what was not right."""
    places: defaultdict[str, Score] = defaultdict(Score)
    records: defaultdict[str, Score] = defaultdict(Score)
    misses: list[Miss] = []
    for sentence in sentences:
        words = sentence.text[sentence.start : sentence.end]
        found = tagged(sentence, tagger)
        for outcome, named in _compared(sentence.marks, found, words, catalogue, placed=True):
            _count(places, outcome, named)
            if outcome is not Outcome.RIGHT:
                misses.append(Miss(outcome, named, words[named.start : named.end], words))
        for outcome, named in _compared(_once(sentence.marks), _once(found), words, catalogue, placed=False):
            _count(records, outcome, named)
    return dict(places), dict(records), sorted(misses, key=lambda miss: (miss.named.field, miss.outcome, miss.words))


def _count(into: defaultdict[str, Score], outcome: Outcome, named: Named) -> None:
    into[named.field].counts[outcome] += 1
    into[ALL].counts[outcome] += 1


def precision(score: Score) -> float:
    """Right of found."""
    return score.precision


def recall(score: Score) -> float:
    """Right of marked: what is wrong is no mark, unlike in a pair of label and id."""
    marked = score.counts[Outcome.RIGHT] + score.counts[Outcome.MISSED]
    return score.counts[Outcome.RIGHT] / marked if marked else 1.0


def _once(named: Iterable[Named]) -> tuple[Named, ...]:
    return tuple({(each.term, each.field): each for each in named}.values())


def _compared(
    marks: Iterable[Named], found: Iterable[Named], words: str, catalogue: Catalogue, *, placed: bool
) -> Iterator[tuple[Outcome, Named]]:
    left = list(found)
    for mark in marks:
        match = next((tag for tag in left if _agree(mark, tag, words, catalogue, placed=placed)), None)
        if match is not None:
            left.remove(match)
        yield (Outcome.RIGHT if match else Outcome.MISSED), mark
    yield from ((Outcome.WRONG, tag) for tag in left)


def _agree(mark: Named, tag: Named, words: str, catalogue: Catalogue, *, placed: bool) -> bool:
    if placed and _core(mark, words) != _core(tag, words):
        return False
    return mark.field == tag.field and same(tag.term, mark.term, catalogue)


def _core(named: Named, words: str) -> tuple[int, int]:
    """A place without the last nouns that may be in or out of it."""
    parts = located(words[named.start : named.end])
    while len(parts) > 1 and normal(parts[-1][0]) in _TAILS:
        parts = parts[:-1]
    return named.start + parts[0][1], named.start + parts[-1][2]


def speed(texts: Iterable[str], tagger: Tagger) -> tuple[float, float]:
    """Characters a second of one core: the first time, and again with every name known but no text."""
    chosen = [text for text in texts if len(text) > 200]
    size = sum(map(len, chosen))
    times = []
    for _ in range(2):
        tagger.tag.cache_clear()
        started = time.process_time()
        for text in chosen:
            tagger.tag(text)
        times.append(size / (time.process_time() - started))
    return times[0], times[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ontologies", type=Path, help="keep the compiled ontologies here")
    parser.add_argument("--misses", action="store_true", help="list what was not found and what was found wrongly")
    arguments = parser.parse_args()
    data = read_settings().shared_data
    if not data.is_dir():
        sys.exit(f"no real data in {data}; set HOOKE_SHARED_DATA")
    texts = read_texts(data / "metadata")
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(open_ontologies(data, arguments.ontologies or Path(scratch))) as catalogue,
    ):
        tagger = Tagger(catalogue)
        sentences = read_gold(texts)
        _report(sentences, *scores(sentences, tagger, catalogue), misses=arguments.misses)
        prose = {text for (_, name), found in texts.items() if name in ("title", "description") for text in found}
        cold, warm = speed(sorted(prose), Tagger(catalogue))
        print(f"speed: {cold / 1e6:.2f} million characters a second at first, {warm / 1e6:.2f} warm")


def _report(
    sentences: tuple[Sentence, ...],
    places: dict[str, Score],
    records: dict[str, Score],
    missed: list[Miss],
    *,
    misses: bool,
) -> None:
    marks = Counter(len(sentence.marks) > 0 for sentence in sentences)
    print(f"{len(sentences)} sentences, {marks[True]} with terms")
    print("field                 marks precision recall   by sentence: precision recall")
    for name in sorted(places, key=lambda name: (name == ALL, name)):
        score, whole = places[name], records[name]
        marked = score.counts[Outcome.RIGHT] + score.counts[Outcome.MISSED]
        print(
            f"{name:21} {marked:5}  {precision(score):.4f}   {recall(score):.4f}"
            f"               {precision(whole):.4f}    {recall(whole):.4f}"
        )
    if misses:
        for miss in missed:
            print(f"{miss.outcome}\t{miss.named.field}\t{miss.named.term}\t{miss.words}\t{miss.sentence}")


if __name__ == "__main__":
    main()
