"""Reading one committed state; see `hooke.store.base.MetadataReader`."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from itertools import islice

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from hooke.errors import BackendUnavailable, BadInput, UnknownRecord
from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.inherit import effective_values, image_values, inherited_values, study_values
from hooke.model import Level, Method, Record, Snapshot, Study, Unresolved
from hooke.query import Among, And, Best, Node, Not, Or, Position, Query, Words, scoring
from hooke.store.base import EVERYTHING, FieldStats, Hit, Page, Stored, ValueSet
from hooke.store.cache import Cache
from hooke.store.elasticsearch import body
from hooke.store.elasticsearch.body import Known, condition
from hooke.store.elasticsearch.cluster import Body, cluster_errors
from hooke.store.elasticsearch.document import id_key, read_image, read_study
from hooke.store.elasticsearch.lookup import Lookup
from hooke.store.elasticsearch.mapping import MAX_PAGE, Part, alive, field_key, part_of, set_field
from hooke.store.elasticsearch.sets import Column, read_column
from hooke.store.worklist import Worklist

_CHECKED_TOKENS = 1_000
_SCANNED = 1_000
_KEPT_STUDIES = 5_000
_ALL: Body = {"match_all": {}}


class ElasticsearchReader:
    """One state of an index in a cluster."""

    def __init__(self, lookup: Lookup, worklist: Worklist, cache: Cache) -> None:
        self._lookup = lookup
        self._worklist = worklist
        self._cache = cache

    @property
    def snapshot(self) -> Snapshot:
        """The state that this reader sees."""
        return self._lookup.state.snapshot

    @property
    def is_remote(self) -> bool:
        """They do."""
        return True

    def check(self) -> None:
        """Ask every shard of every part."""
        names, state = self._lookup.names, self._lookup.state.number
        targets = [names.sets, *(names.state(part, state) for part in Part)]
        self._lookup.cluster.search(",".join(targets), {"size": 0, "track_total_hits": False, "terminate_after": 1})

    def search(self, query: Query) -> Page:
        """The matching records, best first."""
        if query.limit < 1:
            raise BadInput(f"limit must be at least 1, not {query.limit}")
        known = self._known(query.level, query.where)
        after = self._sort_values(query)
        hits: list[Hit] = []
        total = 0
        while len(hits) <= query.limit:
            size = min(query.limit + 1 - len(hits), MAX_PAGE + 1)
            request = body.page(query.where, known, size=size, after=after, order=query.order)
            found = self._lookup.search(part_of(query.level), request)["hits"]
            total = found["total"]["value"]
            hits += [Hit(int(hit["sort"][1]), float(hit["_score"])) for hit in found["hits"]]
            if len(found["hits"]) < size:
                break
            after = found["hits"][-1]["sort"]
        page, more = tuple(hits[: query.limit]), len(hits) > query.limit
        return Page(page, total, Position(page[-1].score, page[-1].ordinal) if more else None)

    def _sort_values(self, query: Query) -> Sequence[object] | None:
        """What the last record before the page is sorted by: a cursor holds its ordinal, and no title."""
        if query.after is None:
            return None
        if query.order is None:
            return query.after.score, query.after.ordinal
        last = self._lookup.search(part_of(query.level), body.sort_values(query.after.ordinal, query.order))
        if not last["hits"]["hits"]:
            raise BadInput(f"no {query.level} has the ordinal {query.after.ordinal}: start again from the first page")
        values: Sequence[object] = last["hits"]["hits"][0]["sort"]
        return values

    def ordinals(self, level: Level, where: Node) -> BitMap:
        """The ordinals of every matching record."""
        if where == EVERYTHING:
            return BitMap(self._lookup.state.extents[part_of(level)].live)
        if _names_records(where):
            return self._ordinals(level, where)  # asked once: kept, it would push out what is asked again
        return BitMap(self._cache.get((level, "ordinals", where), lambda: self._ordinals(level, where)))

    def _ordinals(self, level: Level, where: Node) -> BitMap:
        return self._lookup.ordinals(part_of(level), self._condition(level, where))

    def count(self, level: Level, where: Node = EVERYTHING) -> int:
        """How many live records match."""
        if where == EVERYTHING:
            return len(self._lookup.state.extents[part_of(level)].live)
        if _names_records(where):
            return self._count(level, where)
        return self._cache.get((level, "count", where), lambda: self._count(level, where))

    def _count(self, level: Level, where: Node) -> int:
        found = self._lookup.search(part_of(level), body.total(self._condition(level, where)))
        return int(found["hits"]["total"]["value"])

    def value_sets(self, level: Level, field: str) -> Sequence[ValueSet]:
        """Every set of values that a record can have in a field."""
        return self._column(field).sets

    def count_sets(self, level: Level, fields: Sequence[str], where: Node) -> tuple[npt.NDArray[np.int64], ...]:
        """How many of the matching records have each set, field by field."""
        columns = {field: self._column(field) for field in fields}
        asked = [field for field, column in columns.items() if column.sets]
        clause = self._condition(level, where)
        counted = self._lookup.counts(part_of(level), clause, {field: set_field(field) for field in asked})
        if level is Level.IMAGE:
            counted |= {field: self._with_inherited(clause, field, counted[field]) for field in asked}
        return tuple(columns[field].counts(counted.get(field, {})) for field in fields)

    def study_sets(self, field: str, where: Node) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which sets of a field the matching images of each study have."""
        column, clause = self._column(field), self._condition(Level.IMAGE, where)
        path = set_field(field)
        found = set(self._lookup.pairs(Part.IMAGES, clause, "study", path)) if column.sets else set()
        sets = self._inherited(field)
        if sets:
            heirs = self._lookup.pairs(Part.IMAGES, _silent(clause, path), "study", "heirlooms")
            found |= {(study, sets[int(heirlooms)]) for study, heirlooms in heirs if int(heirlooms) in sets}
        studies = np.array([study for study, _ in found], np.int64)
        return studies, np.array([column.positions[key] for _, key in found], np.int64)

    def _with_inherited(self, clause: Body, field: str, own: Mapping[str, int]) -> dict[str, int]:
        """The counts of a field with those of images that have it from their study alone, where its sets are kept."""
        sets = self._inherited(field)
        if not sets:
            return dict(own)
        heirs = self._lookup.counts(Part.IMAGES, _silent(clause, set_field(field)), {"h": "heirlooms"})["h"]
        counted = Counter(own)
        for heirlooms, count in heirs.items():
            if int(heirlooms) in sets:
                counted[sets[int(heirlooms)]] += count
        return dict(counted)

    def _inherited(self, field: str) -> dict[int, str]:
        """The sets of a field by the heirlooms that have them, where they are not copied into images."""
        if field in FACET_FIELDS:
            return {}
        return self._cache.get(("inherited", field), lambda: self._inherited_sets(field))

    def _inherited_sets(self, field: str) -> dict[int, str]:
        path = set_field(field)
        request: Body = {"query": {"exists": {"field": path}}, "_source": ["ordinal", path]}
        kind, key = path.split(".")
        sources = (hit["_source"] for hit in self._lookup.scan(Part.HEIRLOOMS, request))
        return {source["ordinal"]: source[kind][key] for source in sources}

    def labels(self, level: Level, field: str) -> Mapping[str, str]:
        """The label of every term that annotates a record in a field."""
        return self._column(field).labels

    def terms_in_use(self, level: Level, field: str | None = None) -> frozenset[str]:
        """The terms that annotate a live or once live record directly."""
        if field is not None:
            return frozenset(term for held in self._column(field).sets for term in held.terms)
        return self._cache.get((level, "terms"), lambda: self._read_terms(level))

    def _read_terms(self, level: Level) -> frozenset[str]:
        parts = _searched_parts(level)
        return frozenset(term for part in parts for term in self._lookup.counts(part, _ALL, {"t": "term"})["t"])

    def tokens(self, level: Level, prefix: str, *, field: str | None = None, limit: int = 401) -> tuple[str, ...]:
        """Tokens with a prefix, sorted."""
        found: list[str] = []
        after: str | None = None
        while len(found) < limit:
            size = limit if limit > _CHECKED_TOKENS else _CHECKED_TOKENS
            listed = self._listed(level, prefix, field, after, size)
            found += listed if limit > _CHECKED_TOKENS else self._in_use(level, listed, field)
            if len(listed) < size:
                break
            after = listed[-1]
        return tuple(found[:limit])

    def _listed(self, level: Level, prefix: str, field: str | None, after: str | None, size: int) -> list[str]:
        """The next tokens of the index, those of dead records too."""
        indices = map(self._lookup.names.versions, _searched_parts(level))
        lists = [self._terms_enum(index, field, prefix, after, size) for index in indices]
        # a full list may go on: beyond its end the others have to wait
        ends = [listed[-1] for listed in lists if len(listed) == size]
        merged = dict.fromkeys(token for token in merge(*lists) if not ends or token <= min(ends))
        return list(islice(merged, size))

    def _terms_enum(self, index: str, field: str | None, prefix: str, after: str | None, size: int) -> list[str]:
        path, key = ("word", "") if field is None else ("token", f"{field_key(field)}=")
        following = f"{key}{after}" if after is not None else None
        with cluster_errors(self._lookup.cluster.location):
            answer = self._lookup.cluster.client.terms_enum(
                index=index, field=path, string=f"{key}{prefix}", size=size, timeout="20s", search_after=following
            )
        if not answer["complete"]:
            raise BackendUnavailable(
                f"Elasticsearch at {self._lookup.cluster.location} listed words in part: try again"
            )
        return [str(term)[len(key) :] for term in answer["terms"]]

    def _in_use(self, level: Level, listed: Sequence[str], field: str | None) -> list[str]:
        """Which of the tokens a live record has."""
        clauses = {token: body.leaf(Words(frozenset({token}), field)) for token in listed}
        used = self._having(part_of(level), clauses, _ALL)
        if level is Level.IMAGE:
            rest = {token: clause for token, clause in clauses.items() if token not in used}
            used |= self._having(Part.HEIRLOOMS, rest, body.among(sorted(self._heirs())))
        return [token for token in listed if token in used]

    def _having(self, part: Part, clauses: Mapping[str, Body], within: Body) -> set[str]:
        if not clauses:
            return set()
        request: Body = {"query": within, "size": 0, "aggs": {"t": {"filters": {"filters": dict(clauses)}}}}
        buckets = self._lookup.search(part, request)["aggregations"]["t"]["buckets"]
        return {token for token, bucket in buckets.items() if bucket["doc_count"]}

    def _heirs(self) -> Mapping[int, int]:
        """How many live images have each of the heirlooms."""

        def make() -> dict[int, int]:
            found = self._lookup.counts(Part.IMAGES, _ALL, {"h": "heirlooms"})["h"]
            return {int(heirlooms): count for heirlooms, count in found.items()}

        return self._cache.get("heirs", make)

    def token_counts(self, level: Level, fields: Sequence[str], most: int) -> Mapping[str, int]:
        """How many tokens each of some fields has, counted until they are more than `most`."""
        return {name: len(self.tokens(level, "", field=name, limit=most + 1)) for name in fields}

    def fields(self, level: Level) -> Mapping[str, FieldStats]:
        """Every field of a level by name."""
        return self._cache.get((level, "fields"), lambda: self._read_fields(level))

    def _read_fields(self, level: Level) -> dict[str, FieldStats]:
        records = Counter(self._lookup.counts(part_of(level), _ALL, {"f": "field"})["f"])
        if level is Level.IMAGE:
            records = self._with_inherited_fields(records)
        everyone = self.count(level)
        return {
            name: FieldStats(name, everyone if name in UNCOUNTED_FIELDS else records[name]) for name in sorted(records)
        }

    def _with_inherited_fields(self, own: Counter[str]) -> Counter[str]:
        heirs = self._heirs()
        inherited: dict[str, list[int]] = {}
        for hit in self._lookup.scan(
            Part.HEIRLOOMS, {"query": body.among(sorted(heirs)), "_source": ["ordinal", "field"]}
        ):
            for name in hit["_source"]["field"]:
                inherited.setdefault(name, []).append(hit["_source"]["ordinal"])
        both = [name for name in inherited if name in own and name not in UNCOUNTED_FIELDS]
        requests = [
            body.total({"bool": {"filter": [{"term": {"field": name}}, body.among(inherited[name], "heirlooms")]}})
            for name in both
        ]
        twice = self._lookup.searches(Part.IMAGES, requests)
        counted = own + Counter({name: sum(heirs[h] for h in group) for name, group in inherited.items()})
        for name, answer in zip(both, twice, strict=True):
            counted[name] -= answer["hits"]["total"]["value"]
        return counted

    def get(self, level: Level, record_id: str) -> Record:
        """One record by id."""
        request: Body = {"query": {"term": {"id": id_key(record_id)}}, "size": 1}
        for record in self._records(level, request):
            return record
        raise UnknownRecord(f"no {level} {record_id!r} in this index: search for it, or index its archive first")

    def records(self, level: Level, ordinals: Sequence[int]) -> tuple[Record, ...]:
        """Live records by ordinal, in the order asked."""
        wanted = list(dict.fromkeys(ordinals))
        found: dict[int, Record] = {}
        for start in range(0, len(wanted), _SCANNED):
            chunk = wanted[start : start + _SCANNED]
            request: Body = {"query": {"terms": {"ordinal": chunk}}, "size": len(chunk)}
            found |= {record.ordinal: record for record in self._records(level, request)}
        return tuple(found[o] for o in ordinals if o in found)

    def _records(self, level: Level, request: Body) -> Iterator[Record]:
        request = {**request, "_source": ["record", "ordinal", "study"], "track_total_hits": False}
        sources = [hit["_source"] for hit in self._hits(level, request)]
        if level is Level.STUDY:
            yield from (_study_record(read_study(source["record"]), source["ordinal"]) for source in sources)
            return
        owners = self._owners({source["study"] for source in sources})
        for source in sources:
            yield _image_record(source, owners[source["study"]])

    def _owners(self, ordinals: set[int]) -> Mapping[int, Study]:
        """These studies, and others, by ordinal; each is asked for once."""
        known: dict[int, Study] = self._cache.get("studies", dict)
        if len(known) > _KEPT_STUDIES:
            known.clear()
        missing = [ordinal for ordinal in ordinals if ordinal not in known]
        if missing:
            request: Body = {"query": body.among(missing), "size": len(missing), "_source": ["record", "ordinal"]}
            read = {hit["_source"]["ordinal"]: hit["_source"]["record"] for hit in self._hits(Level.STUDY, request)}
            known.update({ordinal: read_study(payload) for ordinal, payload in read.items()})
        return known

    def studies(self, ids: Sequence[str]) -> tuple[Study, ...]:
        """The live studies of these ids as they were put."""
        found: dict[str, Study] = {}
        for start in range(0, len(ids), _SCANNED):
            keys = list(map(id_key, ids[start : start + _SCANNED]))
            request: Body = {"query": {"terms": {"id": keys}}, "size": len(keys), "_source": ["record"]}
            read = [read_study(hit["_source"]["record"]) for hit in self._hits(Level.STUDY, request)]
            found |= {study.id: study for study in read}
        return tuple(found[key] for key in ids if key in found)

    def _hits(self, level: Level, request: Body) -> list[Body]:
        hits: list[Body] = self._lookup.search(part_of(level), request)["hits"]["hits"]
        return hits

    def images_with_pixels(self) -> Iterator[tuple[int, str]]:
        """Ordinal and path of every live image whose pixels can be read."""
        request: Body = {"query": {"term": {"with_pixels": True}}, "_source": False, "docvalue_fields": ["pixels"]}
        for hit in self._lookup.scan(Part.IMAGES, request):
            yield hit["sort"][0], hit["fields"]["pixels"][0]

    def study_ordinals(self, images: BitMap) -> BitMap:
        """The studies that the images belong to."""
        found = self._lookup.counts(Part.IMAGES, body.among(list(images)), {"study": "study"})["study"]
        return BitMap(map(int, found))

    def image_ordinals(self, studies: BitMap) -> BitMap:
        """The live images of the studies."""
        return self._lookup.ordinals(Part.IMAGES, body.among(list(studies), "study"))

    def owners(self, images: BitMap) -> npt.NDArray[np.uint32]:
        """The ordinal of the study of each of some live images."""
        pairs = self._lookup.pairs(Part.IMAGES, body.among(list(images)), "ordinal", "study")
        return np.array([int(study) for _, study in pairs], np.uint32)

    def unresolved(self, limit: int = 100) -> tuple[tuple[Unresolved, int], ...]:
        """The worklist, most frequent first."""
        return self._worklist.most_frequent(limit)

    def unresolved_count(self) -> int:
        """How many distinct values no term was found for."""
        return self._worklist.count()

    def mention_counts(self) -> Mapping[str, int]:
        """How many of the records' own mentions were made by each method."""
        return self._cache.get("mentions", self._count_mentions)

    def _count_mentions(self) -> dict[str, int]:
        sums: Body = {str(method): {"sum": {"field": f"method.{method}"}} for method in Method}
        request: Body = {"size": 0, "aggs": sums, "track_total_hits": False}
        answers = [self._lookup.search(part_of(level), request)["aggregations"] for level in Level]
        counts = {str(method): sum(int(a[str(method)]["value"]) for a in answers) for method in Method}
        return {method: count for method, count in counts.items() if count}

    def part_digest(self, part: str) -> str | None:
        """The digest under which an input was last indexed whole."""
        return self._worklist.digest(part)

    def image_ids(self, part: str) -> frozenset[str]:
        """The live images that were last put from an input."""
        request: Body = {"query": {"term": {"part": part}}, "_source": ["record.id"]}
        return frozenset(hit["_source"]["record"]["id"] for hit in self._lookup.scan(Part.IMAGES, request))

    def size_bytes(self) -> int:
        """Bytes the metadata takes in the cluster, copies included."""
        names = self._lookup.names
        indices = [names.sets, *map(names.versions, Part)]
        with cluster_errors(self._lookup.cluster.location):
            stats = self._lookup.cluster.client.indices.stats(index=indices, metric="store").body
        return int(stats["_all"]["total"]["store"]["size_in_bytes"])

    def stored(self, level: Level) -> Iterator[Stored]:
        """Every record that ever was, by ordinal."""
        number = self._lookup.state.number
        versions = alive(number)["bool"]["must_not"][:2]  # the deleted ones too
        request: Body = {
            "query": {"bool": {"must_not": versions}},
            "_source": ["record", "ordinal", "part", "gone"],
            "sort": [{"ordinal": "asc"}],
        }
        self.count_now(level)  # a state that is gone is told here, not passed for an empty one
        for hit in self._lookup.cluster.scan(self._lookup.names.versions(part_of(level)), request, size=_SCANNED):
            yield _stored(level, hit["_source"])

    def count_now(self, level: Level) -> int:
        """How many live records the cluster has, asked of it now. Raises SnapshotMismatch for a state that is gone."""
        return int(self._lookup.search(part_of(level), body.total(_ALL))["hits"]["total"]["value"])

    def parts(self) -> Mapping[str, str]:
        """The inputs that were indexed whole, with their digests."""
        return self._worklist.parts()

    def worklists(self) -> Iterator[tuple[str, Mapping[Unresolved, int]]]:
        """The worklist by input."""
        yield from self._worklist.by_part()

    def _column(self, field: str) -> Column:
        return self._cache.get(("column", field), lambda: read_column(self._lookup, field))

    def _condition(self, level: Level, node: Node) -> Body:
        return condition(node, self._known_heirlooms(level, node))

    def _known(self, level: Level, node: Node) -> Known:
        known = self._known_heirlooms(level, node)
        return replace(known, idf=self._idf(level, scoring(node), known))

    def _known_heirlooms(self, level: Level, node: Node) -> Known:
        """Which groups of images match each leaf by what they inherit."""
        if level is Level.STUDY:
            return Known()

        def ask(leaves: list[body.Leaf]) -> list[list[int]]:
            return [
                list(found) for found in self._lookup.many_ordinals(Part.HEIRLOOMS, list(map(body.inherited, leaves)))
            ]

        return Known(self._cache.get_all(body.leaves(node), ask))

    def _idf(self, level: Level, nodes: Iterable[Best], known: Known) -> dict[Best, float]:
        """What a match is worth: the rarer the more."""

        def ask(keys: list[tuple[Level, str, Best]]) -> list[int]:
            requests = [body.total(condition(node, known)) for _, _, node in keys]
            answers = self._lookup.searches(part_of(level), requests)
            return [int(answer["hits"]["total"]["value"]) for answer in answers]

        matches = self._cache.get_all(((level, "count", node) for node in nodes), ask)
        everyone = self.count(level)
        return {node: math.log1p(everyone / max(1, count)) for (_, _, node), count in matches.items()}


def _silent(clause: Body, path: str) -> Body:
    """Records that match and have no set of their own in a field."""
    return {"bool": {"filter": [clause], "must_not": [{"exists": {"field": path}}]}}


def _names_records(node: Node) -> bool:
    match node:
        case Among():
            return True
        case And(children) | Or(children):
            return any(map(_names_records, children))
        case Not(child):
            return _names_records(child)
    return False


def _searched_parts(level: Level) -> tuple[Part, ...]:
    return (Part.STUDIES,) if level is Level.STUDY else (Part.IMAGES, Part.HEIRLOOMS)


def _study_record(study: Study, ordinal: int) -> Record:
    return Record(study.id, Level.STUDY, ordinal, study.id, study.title, study_values(study), origins=study.origins)


def _image_record(source: Body, study: Study) -> Record:
    image = read_image(source["record"])
    own = image_values(image)
    values = effective_values(own, inherited_values(study, image.dataset))
    return Record(
        image.id,
        Level.IMAGE,
        source["ordinal"],
        image.study_id,
        image.title,
        values,
        image.dataset,
        study.origins,
        image.pixels,
        len(values) - len(own),
    )


def _stored(level: Level, source: Body) -> Stored:
    payload, ordinal = source["record"], source["ordinal"]
    study_id = payload["id"] if level is Level.STUDY else payload["study"]
    if source.get("gone"):
        return Stored(payload["id"], study_id, ordinal, None, source["part"])
    record = read_study(payload) if level is Level.STUDY else read_image(payload)
    return Stored(payload["id"], study_id, ordinal, record, source["part"])
