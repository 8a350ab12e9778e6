"""Explains what is wrong with an installation and names the command that mends it; one function per ailment."""

from headwater.doctor.findings import CHECKS, Finding, examine

__all__ = ["CHECKS", "Finding", "examine"]
