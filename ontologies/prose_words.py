"""The words that the rules of `ontologies.prose` know: each list is one rule's, all in the normal form of names."""

import re

from ontologies.names import normal


def _normal(*names: str) -> frozenset[str]:
    return frozenset(map(normal, names))


OWN_NAMES = {
    normal(name): (field, term)
    for field, term, names in (
        ("organism", "NCBITaxon:9606", ("human", "humans")),
        ("organism", "NCBITaxon:10090", ("mouse", "mice", "murine")),
        ("organism", "NCBITaxon:10116", ("rat", "rats")),
        ("organism", "NCBITaxon:7215", ("Drosophila",)),
        ("organism", "NCBITaxon:7227", ("fruit fly", "fruit flies")),
        ("organism", "NCBITaxon:4932", ("budding yeast",)),
        ("organism", "NCBITaxon:4896", ("fission yeast",)),
        ("organism", "NCBITaxon:9986", ("rabbit",)),
        ("organism", "NCBITaxon:50557", ("insect",)),
        ("organism", "NCBITaxon:11676", ("HIV",)),
        ("imaging_method", "FBbi:00000246", ("epifluorescence", "epi-fluorescence", "epifluorescence microscopy")),
        ("imaging_method", "FBbi:00000251", ("confocal", "laser scanning confocal", "confocal laser scanning")),
        ("imaging_method", "FBbi:00000253", ("spinning disk confocal", "spinning disc confocal", "spinning disk")),
        ("imaging_method", "FBbi:00000243", ("bright field", "brightfield")),
        ("imaging_method", "FBbi:00000244", ("dark field", "darkfield")),
        ("imaging_method", "FBbi:00000247", ("phase contrast",)),
        ("imaging_method", "FBbi:00000245", ("differential interference contrast",)),
        ("imaging_method", "FBbi:00000249", ("time lapse", "timelapse")),
        ("imaging_method", "FBbi:00000254", ("two-photon", "2-photon")),
        ("imaging_method", "FBbi:00000255", ("multiphoton", "multi-photon")),
        ("imaging_method", "FBbi:00000617", ("total internal reflection fluorescence", "total internal reflection")),
        ("imaging_method", "FBbi:00000617", ("TIRF",)),
        ("imaging_method", "FBbi:00000336", ("dSTORM",)),
        (
            "imaging_method",
            "FBbi:00000369",
            ("light sheet", "lightsheet", "light sheet fluorescence", "selective plane illumination", "LSFM"),
        ),
        ("imaging_method", "FBbi:00000585", ("serial block face scanning electron", "SBF-SEM")),
        ("imaging_method", "FBbi:00000258", ("transmission electron",)),
        ("imaging_method", "FBbi:00000257", ("scanning electron",)),
        ("imaging_method", "FBbi:00050000", ("focused ion beam scanning electron", "FIBSEM")),
        ("anatomy", "UBERON:0002421", ("hippocampus",)),
        ("anatomy", "UBERON:0001555", ("gut",)),
        ("cell_type", "CL:0002322", ("ES cell",)),
        ("cellular_component", "GO:0005929", ("cilia",)),
    )
    for name in names
}
"""Names in daily use that the loaded releases lack, or give to several terms."""

METHOD_NOUNS = _normal(
    *("microscopy", "microscope", "microscopic", "micrograph", "imaging", "image", "movie", "video", "recording"),
    *("illumination", "tomogram", "photomicrograph"),
)
"""What may follow the name of a method instead of "microscopy"."""

GENERIC = _normal(
    *("cell", "cells", "cultured cell", "eukaryotic cell", "prokaryotic cell", "animal cell", "native cell"),
    *("single cell", "somatic cell", "cell in vitro", "cell line", "tissue", "organ", "organelle", "organism"),
    *("animal", "plant", "virus", "viruses", "microscopy", "imaging method", "image", "images", "recorded image"),
    *("diagram", "animation", "montage", "disease", "syndrome", "disorder", "cell part", "intracellular", "cell line"),
    *("growth", "behavior", "localization", "transport", "signaling", "secretion", "binding", "metabolism", "memory"),
    *("translation", "reproduction", "pathogenesis", "development", "developmental process", "response", "death"),
    *("regulation", "biological process", "cellular process", "movement", "detection", "extracellular", "host"),
    *("body", "head", "surface", "region", "structure", "system", "layer", "tube", "stem", "space", "process"),
    *("material", "segment", "axis", "anatomical structure", "compound organ", "whole plant", "control", "line"),
    *("root", "data", "can", "set", "node", "spot", "groove", "field", "part", "strain", "culture", "label", "mixture"),
    *("macroscopy", "tomography", "computed tomography", "phenotype", "cellular phenotype", "wild type", "sequence"),
    *("population", "clone", "thin", "cell culture", "complex", "stage", "solution", "membrane protein", "ring", "bead"),
    *("transformation", "aging", "age", "ageing", "sensitivity", "resistance", "multi organism process", "root system"),
    *("OCT", "others", "other", "unidentified", "synthetic", "artificial", "unknown", "all", "major", "lens"),
    *("plate", "base", "rod", "cone", "column", "arch", "horn", "neck", "limbus", "floor", "roof", "cup", "mass"),
    *("of", "this", "species", "learning", "face", "serum", "adult", "adult organism", "segmentation", "synthesis"),
    *("atlas", "fly", "flies", "NA", "PBMC", "life", "food", "collagen", "plasma", "flank", "cellular localization", "male", "female", "sleep", "vision", "cognition", "excretion"),
    *("biosynthetic process", "gene silencing", "pigmentation", "locomotion", "immobilization", "maintenance"),
    *("order", "class", "family", "superfamily", "phylum", "kingdom", "taxonomic rank", "white", "fish", "fishes", "cat"),
    *("placental", "orca", "rust", "suzuki", "puma", "pan", "swift", "stainer", "sole", "squash", "seal", "hydra"),
    *("hedgehog", "chimera", "sage", "ana", "falcon", "nestor", "homo", "environmental samples", "falcon", "tip"),
    *("projection", "anatomical projection", "radial", "back", "pad", "appendix", "extension", "lifespan", "life cycle"),
    *("helix", "morphological feature", "lamina", "pump", "trunk", "canal", "sartorius", "radius", "hand", "waist"),
    *("ball", "initial cell", "crest", "bregma", "simplex", "rosette", "corpus", "cell cluster", "tears", "primordium"),
    *("vessel", "mantle", "envelope", "hermaphrodite", "plant cell", "cortex", "reproductive organ", "septum", "nail"),
    *("antibody", "antibodies", "immunoglobulin complex, circulating", "cellular component", "cellular_component"),
    *("protein complex", "macromolecular complex", "host cell", "fibril", "intracellular organelle", "contact site"),
    *("phosphorylation", "degradation", "bioluminescence", "transduction", "swimming", "flight", "reflex", "tropism"),
    *("conjugation", "hearing", "digestion", "acidification", "methylation", "oxidation-reduction", "metabolic process"),
    *("cellular homeostasis", "RNA interference", "RNAi", "abscission", "sensory perception", "quenching", "morphogenesis"),
    *("single cell phenotype", "small cell", "large cell", "DNA damage", "cell division phenotype", "proliferating cell"),
    *("type I", "be cell", "crypt cell", "abnormal cell", "haploid cell", "insulin resistance", "time", "sex specific", "child", "branch", "dens", "AT2", "NPC", "focus"),
    *("filament", "cortical", "core", "arm", "ray", "fin", "shell", "scale", "bar", "valve", "pore", "bristle"),
)
"""Names that say nothing, or mostly something else, in the prose of an image archive."""

PRODUCT_NOUNS = _normal(
    *("growth factor", "factor", "receptor", "protein", "antibody", "antigen", "kinase", "serum", "albumin", "medium"),
    *("media", "agar", "IgG", "immunoglobulin", "monoclonal", "polyclonal", "secondary antibody", "lectin", "collagen"),
    *("adhesion molecule", "extract", "lysate", "hormone", "ringer", "saline", "anti", "atlas", "basal medium"),
    *("matrix", "polish", "agglutinin", "peroxidase", "tubulin", "toxin", "antiserum"),
)
"""What makes of a name before it the name of a product: fibroblast growth factor, Drosophila medium, mouse IgG."""

NOT_NAMES = _normal(
    *("institute", "center", "centre", "university", "journal", "department", "society", "foundation", "hospital"),
    *("laboratory", "school", "council", "consortium", "biology", "therapeutics", "campus", "faculty", "company"),
)
"""What beside a capitalised name makes it an institution's: Cancer Research Institute."""

HUMAN_ROLES = _normal(
    *("annotator", "expert", "observer", "rater", "error", "readable", "eye", "in", "intervention", "annotation"),
    *("operator", "labeled", "supervision", "visual", "input", "pathologist"),
)

NEGATIONS = frozenset({"no", "without", "non", "lacking", "lacks", "lack", "absence", "absent", "neither", "nor"})
"""Before a name, with at most two words between: it is said not to be there."""
NEGATIVE_ENDINGS = frozenset({"free", "negative", "null", "deficient", "depleted", "less", "like", "lacking"})
"""After a name and a hyphen: it is not there, or only resembled."""

ANTIBODY_WORDS = _normal("antibody", "anti", "IgG", "polyclonal", "monoclonal", "serum", "Alexa", "secondary")
"""Near the name of an animal: it is the host that the antibody was raised in."""
HOSTS = _normal("mouse", "rat", "rabbit", "goat", "donkey", "chicken", "guinea pig", "sheep", "hamster", "horse")
CELL_CUES = _normal(
    *("cell", "cells", "line", "lines", "cell line", "spheroid", "organoid", "xenograft", "clone", "monolayer"),
    *("culture", "cyst", "tumor", "tumour"),
)
"""Beside a name that is short or known to Cellosaurus alone: it is a cell line there."""

MAY_MASK = re.compile(r"://|www\.|\b10\.\d{4}|@|\w\.[A-Za-z]")
"""Whether a text can hold any of these; a quick test."""
MASKED = re.compile(
    r"""\w+://\S+ | \bwww\.\S+ | \b10\.\d{4,}/\S+ | \S+@\S+\.\w+
    | \S+\.(?:tiff?|txt|csv|tsv|xlsx?|h5|zip|png|jpe?g|czi|lif|nd2|mrc|zarr|py|ipynb|json|pdf|mp4|avi|mov|gz|tar)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Addresses and file names: their words name nothing."""
