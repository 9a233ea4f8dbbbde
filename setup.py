"""What pyproject.toml cannot say: where ``properties/`` goes, and what follows of the addresses.

``properties/`` of the root is installed inside the package. The links of the package index and the
README as it is shown there are made of ``[tool.addresses]`` in pyproject.toml, where an address is
filled in once.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
ENDS = {"Issues": "/issues", "Changelog": "/blob/main/CHANGELOG.md"}
"""What is shown beside the repository -> where it is below it."""


def addresses(pyproject: str) -> dict[str, str]:
    """The addresses in the text of a ``pyproject.toml`` that are filled in."""
    table = pyproject.split("\n[tool.addresses]\n")[1].split("\n[")[0]
    return {
        name: address.rstrip("/")
        for name, address in re.findall(r'^(\w+) = "(.*?)"', table, re.MULTILINE)
        if address
    }


def project_urls(found: dict[str, str]) -> dict[str, str]:
    """Label -> link, for the package index."""
    urls = {name.capitalize(): address for name, address in found.items()}
    if repository := found.get("repository"):
        urls |= {label: repository + end for label, end in ENDS.items()}
    return urls


def readme_elsewhere(text: str, repository: str) -> str:
    """A README whose links hold outside of the repository.

    Args:
        text: with links that are relative to the root.
        repository: its address. Empty: links become their text, and pictures go.
    """

    def moved(match: re.Match[str]) -> str:
        picture, words, path = match.groups()
        if not repository:
            return "" if picture else words
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({repository}/{kind}/main/{path})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)", moved, text)


if __name__ == "__main__":
    os.chdir(ROOT)
    given = addresses(Path("pyproject.toml").read_text(encoding="utf-8"))
    readme = Path("README.md").read_text(encoding="utf-8")
    setup(
        packages=[
            *find_packages(include=["recbole_bns", "recbole_bns.*"]),
            "recbole_bns.properties",
        ],
        package_dir={"recbole_bns.properties": "properties"},
        long_description=readme_elsewhere(readme, given.get("repository", "")),
        long_description_content_type="text/markdown",
        project_urls=project_urls(given),
    )
