"""Licences by their SPDX names, however an archive spells them."""

import re

from hooke.text import fold

_CC_URL = re.compile(r"creativecommons\.org/licen[sc]es/(by(?:-nc)?(?:-(?:nd|sa))?)/(\d\.\d)")
_CC_NAME = re.compile(r"(?:creative commons )?cc[ -]by((?:[ -](?:nc|nd|sa))*)(?:[ -]v?(\d\.\d))?")
_CC0 = re.compile(r".*creativecommons\.org/publicdomain/zero/1\.0.*|(?:creative commons )?cc[ -]?0(?:[ -]?v?1\.0)?")
_OTHERS = {
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "apache-2.0": "Apache-2.0",
    "gpl-3.0": "GPL-3.0",
}


def spdx(text: str) -> str:
    """The SPDX name of a licence given by name or address; the text itself where it names none.

    >>> spdx("CC BY 4.0"), spdx("https://creativecommons.org/publicdomain/zero/1.0/"), spdx("CC BY-NC-SA 3.0")
    ('CC-BY-4.0', 'CC0-1.0', 'CC-BY-NC-SA-3.0')
    >>> spdx("https://creativecommons.org/licenses/by-sa/4.0/"), spdx("ask the author")
    ('CC-BY-SA-4.0', 'ask the author')
    """
    folded = fold(text)
    address, name = _CC_URL.search(folded), _CC_NAME.fullmatch(folded)
    if _CC0.fullmatch(folded):
        return "CC0-1.0"
    if address:
        return f"CC-{address.group(1).upper()}-{address.group(2)}"
    if name:
        parts = ["CC", "BY", *name.group(1).upper().replace("-", " ").split(), name.group(2) or ""]
        return "-".join(part for part in parts if part)
    return _OTHERS.get(folded, text.strip())
