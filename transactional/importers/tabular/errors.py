"""What stops an import of a file before anything is written, and what refuses a single row."""

from __future__ import annotations

from dataclasses import dataclass


class FileError(Exception):
    """The file cannot be read as it is; the message says where and what to do."""


class MappingError(Exception):
    """The mapping contradicts itself, the file or the target; ``faults`` names everything that is wrong."""

    def __init__(self, name: str, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(f"{name} cannot be used, nothing was written: " + " ".join(faults))


class Unfit(Exception):
    """A value that its field cannot take; ``advice`` says what to do about it."""

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was refused: ``column`` (or field) and ``value`` are empty where the row as a whole is at fault."""

    line: int
    column: str
    value: str
    reason: str
    advice: str = ""

    def sentence(self) -> str:
        place = (
            f"{self.column} {self.value!r}: " if self.column and self.value else f"{self.column}: " * bool(self.column)
        )
        return f"line {self.line}: {place}{self.reason}" + (f" {self.advice}" if self.advice else "")
