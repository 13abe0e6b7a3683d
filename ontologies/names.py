"""The names of terms in the form in which case, punctuation, number and British or American spelling do not count."""

import re
from collections.abc import Iterator
from functools import lru_cache

from hooke.text import tokens

_IRREGULAR = {
    "bacteria": "bacterium",
    "criteria": "criterion",
    "feet": "foot",
    "fungi": "fungus",
    "genera": "genus",
    "hyphae": "hypha",
    "leaves": "leaf",
    "lice": "louse",
    "loci": "locus",
    "men": "man",
    "mice": "mouse",
    "mitochondria": "mitochondrion",
    "nuclei": "nucleus",
    "nucleoli": "nucleolus",
    "ova": "ovum",
    "stimuli": "stimulus",
    "taxa": "taxon",
    "teeth": "tooth",
    "women": "woman",
}
_ABBREVIATION = re.compile(r"[A-Z][A-Za-z]?[A-Z]{1,6}")
_SPELT_TWO_WAYS = (
    *(
        ("or$", "our"),
        ("our$", "or"),
        ("iz(?=e|ing|ation)", "is"),
        ("is(?=e|ing|ation)", "iz"),
        ("yz", "ys"),
        ("ys", "yz"),
    ),
    *(("(?<=[bt])er$", "re"), ("(?<=[bt])re$", "er"), ("sulf", "sulph"), ("sulph", "sulf")),
    *(("(?<=e)l(?=ed|ing|er)", "ll"), ("(?<=e)ll(?=ed|ing|er)", "l"), ("[ao]e", "e")),
    *(("^hem", "haem"), ("emi(?=a|c)", "aemi"), ("^ped", "paed"), ("^etio", "aetio"), ("^paleo", "palaeo")),
    *(("^fec", "faec"), ("^gynec", "gynaec"), ("^eso", "oeso"), ("^ed(?=em)", "oed"), ("^estr", "oestr")),
    *(("^fet", "foet"), ("rrhea", "rrhoea"), ("^ameb", "amoeb"), ("^cel(?=om|ia)", "coel")),
)
"""American e for ae and oe is told by the stem: not each e was one."""
_SPELLINGS = (
    (re.compile(r"(?<=\w)our$"), "or"),
    (re.compile(r"is(e|ed|er|ing|ation)$"), r"iz\1"),
    (re.compile(r"ys(e|ed|er|ing)$"), r"yz\1"),
    (re.compile(r"([bt])re$"), r"\1er"),
    (re.compile(r"ll(ed|ing|er)$"), r"l\1"),
    (re.compile(r"[ao]e"), "e"),
    (re.compile(r"sulph"), "sulf"),
)


def normal(text: str) -> str:
    """A name without what writers vary: case, punctuation, plural, British spelling; "" for a text without words.

    >>> normal("Tumours") == normal("tumor"), normal("Light-sheet microscopy") == normal("light sheet microscopy")
    (True, True)
    >>> normal("anaemia") == normal("Anemia"), normal("labelled mice") == normal("labeled mouse")
    (True, True)
    """
    return " ".join(map(_plain_word, tokens(text)))


def forms(name: str) -> tuple[str, ...]:
    """The normal forms of a label: the whole, and its halves where it explains an abbreviation.

    >>> forms("stimulated emission depletion (STED)")
    ('stimulated emission depletion sted', 'stimulated emission depletion', 'sted')
    """
    return tuple(filter(None, dict.fromkeys(map(normal, (name, *halves(name))))))


def halves(name: str) -> tuple[str, ...]:
    """An abbreviation and what it stands for, where a label explains one by the other; else none.

    A parenthesis in lower case tells homonyms apart, "bract (moss)".

    >>> halves("PALM (photoactivation localization microscopy)"), halves("bract (moss)")
    (('PALM', 'photoactivation localization microscopy'), ())
    """
    explained = re.fullmatch(r"(.*\S)\s+\((.*)\)", name)
    return explained.groups() if explained and _explains(*explained.groups()) else ()


def spellings(word: str) -> frozenset[str]:
    """A token with its other number and its British or American spellings, as far as rules make them; itself too.

    >>> sorted(spellings("tumours")), sorted(spellings("mice")), sorted(spellings("esophagus"))
    (['tumor', 'tumors', 'tumour', 'tumours'], ['mice', 'mouse', 'mouses'], ['esophagus', 'oesophagus'])
    """
    if len(word) < 3 or not word.isalpha():
        return frozenset({word})
    plain = _plain_word(word)
    singular = _singular(word)
    respelt = {singular, *_respelt(singular), *_respelt(_american(singular))}
    both = {form for each in respelt for form in (each, *_plurals(each))}
    return frozenset(form for form in both if _plain_word(form) == plain) | {word}


def _respelt(word: str) -> Iterator[str]:
    for one, other in _SPELT_TWO_WAYS:
        for at in re.finditer(one, word):
            yield word[: at.start()] + other + word[at.end() :]


def _plurals(word: str) -> Iterator[str]:
    yield from (plural for plural, singular in _IRREGULAR.items() if singular == word)
    yield from (word + "s", word + "es", word[:-1] + "ies", word + "e")


def _explains(name: str, other: str) -> bool:
    """Whether one is an abbreviation and the other has its letters in their order, the first one first."""
    short, long = sorted((name, other), key=len)
    letters = iter(long.casefold())
    begins = short[:1].casefold() == long[:1].casefold()
    return begins and bool(_ABBREVIATION.fullmatch(short)) and all(c in letters for c in short.casefold())


def abbreviated(name: str) -> str | None:
    """The normal form of a species name with its genus as an initial, or None for a name of another shape.

    >>> abbreviated("Saccharomyces cerevisiae") == normal("S. cerevisiae"), abbreviated("cellular organisms")
    (True, None)
    """
    shape = re.match(r"[A-Z][a-z]+ (?=[a-z]{2})", name)
    return normal(f"{name[0]} {name[shape.end() :]}") if shape else None


# A snapshot's names repeat their words: the cache makes compiling three times as fast.
@lru_cache(maxsize=1 << 16)
def _plain_word(word: str) -> str:
    return _american(_singular(word))


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if word.endswith("ae"):
        return word[:-1]
    return word.removesuffix("s")


def _american(word: str) -> str:
    if len(word) < 5:
        return word
    for pattern, spelling in _SPELLINGS:
        word = pattern.sub(spelling, word)
    return word
