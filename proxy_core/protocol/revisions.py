"""The revisions of MCP and the two eras they fall into. Spec: basic/versioning; basic/lifecycle (legacy)."""

from enum import StrEnum


class Era(StrEnum):
    LEGACY = "legacy"
    MODERN = "modern"


MODERN = "2026-07-28"
LATEST_LEGACY = "2025-11-25"
LEGACY_REVISIONS = (LATEST_LEGACY, "2025-06-18", "2025-03-26", "2024-11-05")
SUPPORTED = (MODERN, *LEGACY_REVISIONS)
"""Newest first: the list in server/discover and in the data of -32022."""

ASSUMED_WITHOUT_HEADER = "2025-03-26"
"""What a legacy HTTP request without a version header and without a negotiated version speaks."""


_ERAS = dict.fromkeys(LEGACY_REVISIONS, Era.LEGACY)
_NOT_LEGACY = Era.MODERN


def era_of(revision: str) -> Era:
    return _ERAS.get(revision, _NOT_LEGACY)


def negotiate_legacy(requested: object) -> str:
    """The revision `initialize` answers with: the one asked for if known, else our latest legacy one."""
    return requested if isinstance(requested, str) and requested in LEGACY_REVISIONS else LATEST_LEGACY
