"""Hooke: search biological images by what they mean and by what they look like, in one request.

>>> import hooke
>>> hooke.connect  # doctest: +ELLIPSIS
<function connect at ...>
"""

from hooke.client import Archive, connect

__all__ = ["Archive", "connect"]
