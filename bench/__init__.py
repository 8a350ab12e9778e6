"""Figures, not tests: each module of this package measures one subject and says what was promised.

A module has a docstring (its first paragraph heads the table) and ``def run() -> Iterable[Figure]``.
``python -m bench NAME …`` runs single modules.
"""

from bench.figure import Figure

__all__ = ["Figure"]
