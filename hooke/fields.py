"""The names of fields: REMBI's and MIFA's for what every archive has, and a column's own name for the rest."""

import re
from collections.abc import Mapping
from types import MappingProxyType

ONTOLOGY_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "organism": ("NCBITaxon",),
        "imaging_method": ("FBbi",),
        "anatomy": ("UBERON", "FBbt", "WBbt", "ZFA", "PO"),
        "cell_type": ("CL",),
        "cell_line": ("CLO", "EFO", "CVCL", "BTO"),
        "cellular_component": ("GO",),
        "biological_process": ("GO",),
        "disease": ("DOID", "MONDO", "EFO"),
        "phenotype": ("CMPO", "FYPO", "PATO"),
        "compound": ("CHEBI",),
        "developmental_stage": ("UBERON", "EFO", "HsapDv", "MmusDv", "FBdv", "WBls", "ZFS"),
    }
)
"""Fields whose values are grounded, with the id prefixes searched for each, best first."""

TITLE = "title"
ID = "id"
TEXT_FIELDS = (TITLE, "description")
"""Prose: a study's belongs to all its images."""
NARRATIVE_FIELDS = (*TEXT_FIELDS, "keywords", "sample", "sample_description", "protocol_name", "protocol_description")
"""Fields whose words are searched for the names of terms."""
UNCOUNTED_FIELDS = (*TEXT_FIELDS, ID)
"""Fields that are searched by word or as a whole, and never counted as a facet: nearly every record differs."""

FACET_FIELDS = (*ONTOLOGY_FIELDS, "archive", "licence", "year", "dataset", "channels", "format")
"""The facets every archive shares; any other field can be asked for by name."""


def field_name(label: str) -> str:
    """The name of a field, whatever its spelling: lower case, words joined by underscores.

    MAGE-TAB wrappers name the kind of column, not the field, so the name inside is kept.

    >>> field_name("Characteristics [Cell Line]"), field_name("Gene Symbol"), field_name("size-x")
    ('cell_line', 'gene_symbol', 'size_x')
    """
    wrapped = re.fullmatch(
        r"\s*(?:Characteristics|Comment|Experimental Condition|Factor Value|Parameter Value)\s*\[(.+)\]\s*",
        label,
        flags=re.IGNORECASE,
    )
    inner = wrapped.group(1) if wrapped else label
    return "_".join(re.findall(r"[^\W_]+", inner.casefold()))
