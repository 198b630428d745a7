"""What may become of something that a provider was asked."""

from __future__ import annotations

from trimtab.core.errors import StoreError


class RefusedError(StoreError):
    """A provider certainly did not do what it was asked."""


class UncertainError(StoreError):
    """A provider may have done what it was asked, or may yet; only its list of instances tells."""


class UnansweredError(StoreError):
    """A provider gave no answer to a question, however often it was asked."""


class AliveError(StoreError):
    """An instance is there still, and is charged, although it was to end."""
