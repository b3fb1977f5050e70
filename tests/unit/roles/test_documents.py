"""Every alert's and every check's way into the documents leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path
    for pattern in (
        "roles/*/files/*.yml",
        "playbooks/**/*.py",
        "hook_service/ctl/**/*.py",
        "docs/DEPLOYMENT.md",
        "docs/TROUBLESHOOTING.md",
        "README.md",
    )
    for path in ROOT.glob(pattern)
)


def anchors(document: Path) -> set[str]:
    text = document.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sections_that_are_named_exist(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    named = re.findall(r"docs/(\w+\.md)#([\w-]+)", text)
    if source.suffix == ".md":
        named += [(file or source.name, anchor) for file, anchor in re.findall(r"\]\((\w+\.md)?#([\w-]+)\)", text)]
    for file, anchor in named:
        assert anchor in anchors(ROOT / "docs" / file), f"{source.name} leads to {file}#{anchor}"
