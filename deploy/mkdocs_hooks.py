"""What the site holds beside its files: the reference, written from the code, and lists of what lies in ``docs``.

Written while the site is built, so none of it is ever out of date, and nothing is committed.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

EXAMPLES = re.compile(r"\[([^\]]+)\]\(examples/[^)]*\)")


def on_config(config: Any) -> Any:
    """Guides that the navigation does not name stand at the end of the part for builders."""
    named = str(config.nav)
    rest = [path.name for path in sorted(Path(config.docs_dir).glob("*.md")) if f"'{path.name}'" not in named]
    next(part for part in config.nav if "Building on it" in part)["Building on it"].extend(rest)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Called by MkDocs with the files of ``docs``."""
    for name, text in _reference().items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    files.append(File.generated(config, "decisions/index.md", content=_decisions(Path(config.docs_dir) / "decisions")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to folders are for code browsers, which list them: the site has a page for the decisions and none for the
    examples, whose names stay as text."""
    return EXAMPLES.sub(r"\1", markdown).replace("](decisions/)", "](decisions/index.md)")


def _decisions(directory: Path) -> str:
    """A list of every decision by its number and title."""
    lines = [
        "# Decisions",
        "",
        "Choices that a newcomer would question: context, measurement, choice, consequence.",
        "",
    ]
    for path in sorted(directory.glob("[0-9]*.md")):
        title = path.read_text().splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def _reference() -> dict[str, str]:
    """Services fill the registries when Django loads them, which needs a configuration and no database."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEADWATER_HOME"] = home
        from headwater.config import Config, Server, new_passwords

        nowhere = Server("127.0.0.1", 1, "none")
        Config(str(Path(home)), nowhere, nowhere, 8000, "only for the site", new_passwords()).save()
        from headwater.acting import host_every_service
        from headwater.reference import pages

        host_every_service()
        return pages()
