"""Errors of the lake's writers."""

from __future__ import annotations

from warehouse.lake.errors import LakeError


class LakeTaken(LakeError):
    """Another process writes the lake at this moment."""

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"The lake is being written by another process ({holder}). Only one may at a time; try again in a minute."
        )


class StillVisible(LakeError):
    """Transactions that began before rows were erased still see them, so that their table keeps them."""

    def __init__(self, relation: str, older: list[str], *, waited: float) -> None:
        super().__init__(
            f"{relation} keeps rows that were erased as long as a transaction may see them. After {waited:.0f} s these "
            f"still may: {'; '.join(older)}. End them, then erase again."
        )


class Unverified(LakeError):
    """A day of the change log is not, row by row, in the lake, so it is kept."""

    def __init__(self, day: str, differences: list[str]) -> None:
        shown = "; ".join(differences[:5]) + (f"; and {len(differences) - 5} more" if len(differences) > 5 else "")
        super().__init__(
            f"{day} of the change log differs from the lake: {shown}. The change log keeps the day; "
            "`headwater repair lake` loads what is missing again."
        )
        self.differences = differences


class LakeLost(LakeError):
    """Files of the lake are gone, and nothing else holds their rows."""

    def __init__(self, lost: list[str]) -> None:
        listed = "".join(f"\n  {file}" for file in lost)
        super().__init__(
            f"These files are gone, and the change log does not hold their rows any more:{listed}\n"
            "Put them back from a backup, or give them up with `headwater repair lake --forget`. Nothing was changed."
        )
        self.lost = lost
