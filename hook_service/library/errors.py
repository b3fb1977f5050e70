"""Why a loop can't be prepared."""

from __future__ import annotations

__all__ = ["LibraryError", "NotNow", "Refused", "RefusedForProfile", "SourceMissing"]


class LibraryError(Exception):
    """A loop can't be had; the text is for the operator."""


class SourceMissing(LibraryError):
    """There is no such file, or it is none that may be read (outside of the loops, a device, a directory …)."""


class Refused(LibraryError):
    """The content is no good and will not become better: remembered by its hash."""


class RefusedForProfile(Refused):
    """The content can't be had in this profile; another may do."""


class NotNow(LibraryError):
    """It may well work later (disk full, file still being copied, out of memory): never remembered."""
