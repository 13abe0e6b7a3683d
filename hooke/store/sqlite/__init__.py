"""The embedded metadata store: one SQLite file of values, token bitmaps and columns of value sets.

Archives repeat themselves, so distinct values are indexed once and records point at them: `cells` holds every
distinct value with its mentions, `tokens` a roaring bitmap of ordinals for each (field, token), `term_postings` one for
each direct (field, term), and `columns` the set of values of each record, as one code per ordinal, for each field.
"""

from hooke.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
