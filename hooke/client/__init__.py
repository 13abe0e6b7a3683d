"""What a notebook imports: one way to ask, over HTTP or in process."""

from hooke.client.archive import Archive, connect

__all__ = ["Archive", "connect"]
