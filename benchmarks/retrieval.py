"""How well 40 information needs over the real records are answered, by Hooke and by three simpler ways of asking it.

Run: python -m benchmarks.retrieval [--index DIR] [--misses [SYSTEM]]

DIR is indexed first if there is no index in it: all metadata, and the ontologies of `benchmarks.grounding`. What is
relevant is said in `retrieval_needs.toml`. All four ask the same index:

- phrase: the words of each concept, next to each other, in quotation marks
- all words: every word, none of them read as a term
- closure: the concept's terms by id, with what is below them, and no words
- Hooke: the text as a person types it

Precision and recall are over everything that is found, nDCG over the first 20 with the gain 2^grade - 1; each is the
mean over needs. A system that finds nothing for a need has no precision there, which is left out of its mean.
"""

import argparse
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.grounding import ONTOLOGIES
from benchmarks.relevance import Corpus, Judged, Need, read_needs
from hooke.index import existing_index
from hooke.model import DEFAULT_RELATIONS, Level
from hooke.query import Query
from hooke.request import SearchRequest
from hooke.settings import read_settings
from hooke.store.base import MetadataReader
from hooke.store.sqlite import SqliteStore
from ontologies.catalogue import Catalogue
from search_api.engine.understand import understand

DEPTH = 20
HOOKE = "Hooke"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system found: the first ids in order, and all of them."""

    first: tuple[str, ...]
    all: frozenset[str]


@dataclass(frozen=True, slots=True)
class Score:
    """precision is None where nothing was found."""

    precision: float | None
    recall: float
    ndcg: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A need with its relevant records, and what each system made of it."""

    need: Need
    judged: Judged
    answers: Mapping[str, Answer]

    def score(self, system: str) -> Score:
        """How good a system's answer is."""
        return score(self.answers[system], self.judged)


def score(answer: Answer, judged: Mapping[str, int]) -> Score:
    """Precision and recall over all that was found, nDCG over the first."""
    right = len(answer.all & judged.keys())
    gains = [judged.get(key, 0) for key in answer.first[:DEPTH]]
    ideal = sorted(judged.values(), reverse=True)[:DEPTH]
    return Score(right / len(answer.all) if answer.all else None, right / len(judged), _dcg(gains) / _dcg(ideal))


def _dcg(grades: Sequence[int]) -> float:
    return sum(((1 << grade) - 1) / math.log2(rank + 2) for rank, grade in enumerate(grades))


def _phrase(need: Need) -> SearchRequest:
    return SearchRequest(need.level, " AND ".join(f'"{part.words}"' for part in need.concepts), expand=())


def _all_words(need: Need) -> SearchRequest:
    return SearchRequest(need.level, need.text, expand=())


def _closure(need: Need) -> SearchRequest:
    return SearchRequest(need.level, " AND ".join(f"({' OR '.join(part.ids)})" for part in need.concepts))


def _hooke(need: Need) -> SearchRequest:
    return SearchRequest(need.level, need.text, expand=DEFAULT_RELATIONS)


SYSTEMS: Mapping[str, Callable[[Need], SearchRequest]] = {
    "phrase": _phrase,
    "all words": _all_words,
    "closure": _closure,
    HOOKE: _hooke,
}


class Index:
    """An index that is asked as the engine asks it, for ids alone."""

    def __init__(self, reader: MetadataReader, catalogue: Catalogue) -> None:
        self._reader = reader
        self._catalogue = catalogue
        self._ids: dict[Level, dict[int, str]] = {}

    def ask(self, request: SearchRequest) -> Answer:
        """Everything that a request finds."""
        where = understand(request, self._reader, self._catalogue).where()
        ids = self._known_ids(request.level)
        page = self._reader.search(Query(request.level, where, DEPTH))
        found = frozenset(ids[ordinal] for ordinal in self._reader.ordinals(request.level, where))
        return Answer(tuple(ids[hit.ordinal] for hit in page.hits), found)

    def _known_ids(self, level: Level) -> dict[int, str]:
        if level not in self._ids:
            self._ids[level] = {each.ordinal: each.record.id for each in self._reader.stored(level) if each.record}
        return self._ids[level]


def evaluate(directory: Path, corpus: Corpus) -> Iterator[Outcome]:
    """Every need of a corpus, asked of every system."""
    place = existing_index(directory)
    with closing(SqliteStore(place.metadata)) as store, store.read() as reader:
        catalogue = Catalogue.open(place.ontologies, reader.snapshot.manifest.ontologies)
        with closing(catalogue):
            index = Index(reader, catalogue)
            for need in corpus.needs.needs:
                answers = {name: index.ask(request(need)) for name, request in SYSTEMS.items()}
                yield Outcome(need, corpus.judge(need), answers)


def build(directory: Path, data: Path) -> None:
    """Index all metadata, as anyone would."""
    words = [sys.executable, "-m", "hooke", "index", "--index", str(directory), "--no-embed", str(data / "metadata")]
    words += [word for name in ONTOLOGIES for word in ("--ontology", str(data / "ontologies" / name))]
    if subprocess.run(words, check=False).returncode:
        sys.exit(f"no index was built in {directory}")


def means(scores: Sequence[Score]) -> Score:
    """The mean over needs."""
    answered = [each.precision for each in scores if each.precision is not None]
    return Score(fmean(answered) if answered else None, fmean(s.recall for s in scores), fmean(s.ndcg for s in scores))


def report(outcomes: Sequence[Outcome]) -> None:
    """The table of all needs, then means by kind and over all, as Markdown."""
    print("| need | relevant | " + " | ".join(f"{name}: P R nDCG" for name in SYSTEMS) + " |")
    print("|---|---:|" + "---|" * len(SYSTEMS))
    kinds: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        level = " (images)" if outcome.need.level is Level.IMAGE else ""
        cells = (_cell(outcome.score(name)) for name in SYSTEMS)
        print(f"| {outcome.need.text}{level} | {len(outcome.judged)} | {' | '.join(cells)} |")
        kinds[outcome.need.kind].append(outcome)
    print()
    for kind, members in (*kinds.items(), ("all", outcomes)):
        cells = (_cell(means([member.score(name) for member in members])) for name in SYSTEMS)
        print(f"| **{kind}** | {len(members)} needs | {' | '.join(cells)} |")
    empty = {name: sum(not outcome.answers[name].all for outcome in outcomes) for name in SYSTEMS}
    print("needs for which nothing was found: " + ", ".join(f"{name} {count}" for name, count in empty.items()))


def _cell(score: Score) -> str:
    precision = "  – " if score.precision is None else f"{score.precision:.2f}"
    return f"{precision} {score.recall:.2f} {score.ndcg:.2f}"


def report_misses(outcomes: Sequence[Outcome], system: str, corpus: Corpus) -> None:
    """Which relevant records a system missed, and which others it found; images by their study."""
    for outcome in outcomes:
        found = outcome.answers[system].all
        for what, keys in (("missed", outcome.judged.keys() - found), ("wrong", found - outcome.judged.keys())):
            studies: defaultdict[str, int] = defaultdict(int)
            for key in keys:
                studies[key.partition("/")[0]] += 1
            for study, count in sorted(studies.items()):
                images = f" ({count} images)" if outcome.need.level is Level.IMAGE else ""
                print(f"{what}\t{outcome.need.text}\t{study}{images}\t{corpus.studies[study].title}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--index", type=Path, help="an index to ask; it is built there if there is none")
    parser.add_argument("--misses", nargs="?", const=HOOKE, choices=SYSTEMS, help="list what a system got wrong")
    arguments = parser.parse_args()
    data = read_settings().shared_data
    if not data.is_dir():
        sys.exit(f"no real data in {data}; set HOOKE_SHARED_DATA")
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.index or Path(scratch) / "index"
        if not (directory / "metadata.sqlite").exists():
            build(directory, data)
        corpus = Corpus.read([data / "metadata"], read_needs())
        outcomes = list(evaluate(directory, corpus))
    report(outcomes)
    if arguments.misses:
        report_misses(outcomes, arguments.misses, corpus)


if __name__ == "__main__":
    main()
