"""The attributes in .gitattributes that an annex goes by. Source: git-annex, .gitattributes."""

from __future__ import annotations

BACKEND = b"annex.backend"
LARGE_FILES = b"annex.largefiles"
NUMCOPIES = b"annex.numcopies"
MINCOPIES = b"annex.mincopies"

ATTRIBUTES = (BACKEND, LARGE_FILES, NUMCOPIES, MINCOPIES)
"""All of them, as one CheckAttr is asked for."""
