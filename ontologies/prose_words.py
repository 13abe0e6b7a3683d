"""The words that the rules of `ontologies.prose` know: each list is one rule's, all in the normal form of names."""

import re

from ontologies.names import normal


def _normal(*names: str) -> frozenset[str]:
    return frozenset(map(normal, names))


def _listed(names: str) -> frozenset[str]:
    return _normal(*(" ".join(name.split()) for name in names.split(";")))


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
        ("cell_line", "EFO:0022746", ("Madin-Darby canine kidney", "Madin-Darby canine kidney cell")),
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
        ("biological_process", "GO:0006915", ("apoptosis",)),
    )
    for name in names
}
"""Names in daily use that the loaded releases lack, or give to several terms."""

METHOD_NOUNS = _normal(
    *("microscopy", "microscope", "microscopic", "micrograph", "imaging", "image", "movie", "video", "recording"),
    *("illumination", "tomogram", "photomicrograph"),
)
"""What may follow the name of a method instead of "microscopy"."""

GENERIC = (
    _listed(
        """
    abnormal cell; animal; animal cell; animation; AT2; be cell; cell; cell culture; cell division phenotype;
    cell in vitro; cell line; cells; cellular phenotype; clone; computed tomography; control; crypt cell;
    culture; cultured cell; diagram; disease; disorder; DNA damage; eukaryotic cell; focus; haploid cell; image;
    images; imaging method; insulin resistance; label; large cell; macroscopy; microscopy; montage; native cell;
    cement; facet; facets; NPC; OCT;
    organ; organelle; organism; phenotype; plant; population; prokaryotic cell; proliferating cell;
    recorded image; resistance; sensitivity; sequence; single cell; single cell phenotype; small cell; solution;
    somatic cell; stage; strain; syndrome; tissue; tomography; type I; virus; viruses; wild type
    """
    )
    | _listed(  # taxa of that name
        """
    all; ana; artificial; can; cat; chimera; class; data; environmental samples; falcon; family; female; fish;
    fishes; flies; fly; food; hedgehog; homo; hydra; kingdom; lens; line; major; male; mixture; nestor; orca;
    order; other; others; pan; phylum; placental; puma; rust; sage; seal; set; sole; species; squash; stainer;
    superfamily; suzuki; swift; synthetic; taxonomic rank; thin; this; unidentified; unknown; white
    """
    )
    | _listed(  # anatomy
        """
    adult; adult organism; anatomical projection; anatomical structure; appendix; arch; arm; atlas; axis; back;
    ball; bar; base; bead; body; branch; bregma; bristle; canal; cell cluster; child; column; compound organ;
    cone; core; corpus; cortex; cortical; crest; cup; dens; extension; face; field; filament; fin; flank; floor;
    groove; hand; head; helix; hermaphrodite; horn; initial cell; lamina; layer; life; life cycle; lifespan;
    limbus; mantle; mass; material; morphological feature; NA; nail; neck; node; of; pad; part; PBMC; plant
    cell; plasma; plate; pore; primordium; projection; pump; radial; radius; ray; region; reproductive organ;
    ring; rod; roof; root; root system; rosette; sartorius; scale; segment; septum; serum; sex specific; shell;
    simplex; space; spot; stem; structure; surface; system; tears; time; tip; trunk; tube; valve; vessel; waist;
    whole plant
    """
    )
    | _listed(  # components and processes
        """
    abscission; acidification; age; ageing; aging; antibodies; antibody; behavior; binding; biological process;
    bioluminescence; biosynthetic process; cell part; cellular component; cellular homeostasis; cellular
    localization; cellular process; cellular_component; cognition; collagen; complex; conjugation; contact site;
    death; degradation; detection; development; developmental process; digestion; envelope; excretion;
    extracellular; fibril; flight; gene silencing; growth; hearing; host; host cell; immobilization;
    immunoglobulin complex, circulating; intracellular; intracellular organelle; learning; localization;
    locomotion; macromolecular complex; maintenance; membrane protein; memory; metabolic process; metabolism;
    methylation; morphogenesis; movement; multi organism process; oxidation-reduction; pathogenesis;
    phosphorylation; pigmentation; process; protein complex; quenching; reflex; regulation; reproduction;
    response; RNA interference; RNAi; secretion; segmentation; sensory perception; signaling; sleep; swimming;
    synthesis; transduction; transformation; translation; transport; tropism; vision
    """
    )
)
"""Names that say nothing, or mostly something else, in the prose of an image archive."""

REAGENTS = _normal(
    *("antibody", "secondary antibody", "serum", "albumin", "medium", "media", "agar", "IgG", "immunoglobulin"),
    *("monoclonal", "polyclonal", "antiserum", "ringer", "saline", "atlas", "anti", "extract", "lysate"),
)
"""What makes of an organism before it the origin of a product: mouse IgG, Drosophila medium."""
PRODUCT_NOUNS = REAGENTS | _normal(
    *("growth factor", "factor", "receptor", "protein", "antigen", "kinase", "lectin", "collagen", "hormone"),
    *("adhesion molecule", "basal medium", "matrix", "agglutinin", "peroxidase", "tubulin", "toxin", "polish"),
)
"""What makes of any other name before it the name of a product: fibroblast growth factor."""

NOT_NAMES = _normal(
    *("institute", "center", "centre", "university", "journal", "department", "society", "foundation", "hospital"),
    *("laboratory", "school", "council", "consortium", "biology", "therapeutics", "campus", "faculty", "company"),
)
"""What beside a capitalised name makes it an institution's: Cancer Research Institute."""

HUMAN_ROLES = _normal(
    *("annotator", "expert", "observer", "rater", "error", "readable", "eye", "intervention", "annotation"),
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
_ADDRESS = re.compile(r"://|\bwww\.|\b10\.\d{4,9}/", re.IGNORECASE)
_FILE_NAME = re.compile(
    r"\.(?:tiff?|txt|csv|tsv|xlsx?|h5|zip|png|jpe?g|czi|lif|nd2|mrc|zarr|py|ipynb|json|pdf|mp4|avi|mov|gz|tar)\b",
    re.IGNORECASE,
)


def is_address(run: str) -> bool:
    """Whether characters without a space between them are an address or a file name: its words name nothing."""
    at = run.find("@")
    return bool(_ADDRESS.search(run) or _FILE_NAME.search(run)) or (at > 0 and "." in run[at + 1 :])
