"""Pages of the documentation site that are made while it is built: a hook of MkDocs.

A page for each sampler, loss and mixer from its class, the public names from ``__all__``, the
examples from their files, and what lies beside ``docs/``: README, CHANGELOG, CONTRIBUTING and
``results/``. So none of them can be stale. ``mkdocs build --strict`` calls the functions ``on_*``.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from runpy import run_path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the functions that make texts do without MkDocs
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
COPIED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""File of the root -> its page."""
KINDS = {"sampler": "neg_sampler", "loss": "loss", "mixer": "mixer"}
"""Kind -> the setting that names one of it."""
ROOMS = {
    "training": "Train and use",
    "datasets": "Data",
    "adapters": "In RecBole's own calls",
    "sampling": "Samplers of your own",
    "common": "Errors",
}
"""Where a public name lives -> the chapter it is shown in."""
FURTHER = {
    "recbole_bns.losses": "Losses of your own",
    "recbole_bns.mixers": "Mixers of your own",
    "recbole_bns.testing": "Contracts",
    "recbole_bns.tuning": "Sweeps in a Ray script",
    "recbole_bns.analysis": "What runs left, as tables",
}
"""Module -> the chapter that shows all its public names."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the addresses from ``pyproject.toml``; without one there is no link to a repository."""
    read = run_path(str(ROOT / "setup.py"), run_name="setup")["addresses"]
    addresses = read((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config.repo_url = addresses.get("repository")
    config.site_url = addresses.get("documentation")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in ``docs/``."""
    from mkdocs.structure.files import File, InclusionLevel

    for name, target in COPIED.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=text))
    for target, text in made_pages().items():
        aside = InclusionLevel.INCLUDED if "/" not in target else InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, target, content=text, inclusion=aside))
    for path in sorted((ROOT / "results").rglob("*")):
        if path.suffix in {".md", ".png"}:
            place = path.relative_to(ROOT).as_posix()
            files.append(
                File(
                    place,
                    str(ROOT),
                    config.site_dir,
                    config.use_directory_urls,
                    inclusion=InclusionLevel.NOT_IN_NAV,
                )
            )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that hold in the repository into those of the site; link the tables' names."""
    place = page.file.src_uri
    if place in made_pages():
        return markdown
    kinds = {f"{_folder(kind)}.md": kind for kind in KINDS}
    markdown = site_links(markdown, place)
    if place == "index.md":  # badges are pictures of other people's servers
        markdown = re.sub(r"^!\[[^\]]*\]\(https://img\.shields\.io.*\n", "", markdown, flags=re.M)
    return linked_names(markdown, kinds[place]) if place in kinds else markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Take away Sphinx's roles, which docstrings have."""
    return re.sub(r":(?:func|class|mod|meth|data|attr):(?=<code>)", "", html)


def site_links(markdown: str, place: str) -> str:
    """Links of a page as the site has them; a link to a file that is no page becomes plain text.

    Args:
        markdown: as the page stands in the repository.
        place: of the page on the site; ``index.md`` is the README.
    """
    source = next((name for name, page in COPIED.items() if page == place), None)
    source = source or (place if place.startswith("results/") else f"docs/{place}")

    def moved(match: re.Match[str]) -> str:
        text, path, anchor = match[1], match[2], match[3] or ""
        target = page_of(os.path.normpath(os.path.join(os.path.dirname(source), path)))
        if target is None:
            return text
        return f"[{text}]({os.path.relpath(target, os.path.dirname(place) or '.')}{anchor})"

    return re.sub(r"\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)", moved, markdown)


def page_of(path: str) -> str | None:
    """The site's path of a file of the repository, or nothing."""
    if path in COPIED:
        return COPIED[path]
    if example := re.fullmatch(r"examples/(\w+)\.py", path):
        return f"examples.md#{example[1]}"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.startswith("results/") and path.endswith((".md", ".png")) else None


def linked_names(markdown: str, kind: str) -> str:
    """The names in the first column of a table, as links to their pages."""

    def linked(row: re.Match[str]) -> str:
        names = re.sub(r"`(\w+)`", lambda m: one(m[1]), row[1])
        return f"| {names} |"

    def one(name: str) -> str:
        folder = _folder(kind)
        return f"[`{name}`]({folder}/{name}.md)" if name in registered(kind) else f"`{name}`"

    return re.sub(r"^\| ((?:`\w+`(?:, )?)+) \|", linked, markdown, flags=re.MULTILINE)


def registered(kind: str) -> Mapping[str, Any]:
    """Name -> class of this package's samplers, losses or mixers."""
    room = import_module(f"recbole_bns.{'sampling' if kind == 'sampler' else _folder(kind)}")
    found: Mapping[str, Any] = room.available()
    return {name: cls for name, cls in found.items() if cls.__module__.startswith("recbole_bns.")}


def _folder(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


@cache
def made_pages() -> dict[str, str]:
    """Path on the site -> Markdown of the pages that are made from the code."""
    pages = {
        f"{_folder(kind)}/{name}.md": page_of_class(kind, cls)
        for kind in KINDS
        for name, cls in registered(kind).items()
    }
    return {**pages, "api.md": api_page(), "examples.md": examples_page()}


def page_of_class(kind: str, cls: Any) -> str:
    """All about a sampler, a loss or a mixer: idea, parameters, search space, formula, source."""
    setting, name = KINDS[kind], cls.name
    lines = [f"# {name}", "", f"{cls.idea[0].upper()}{cls.idea[1:]} ({cls.paper}).", ""]
    lines += ["```", f"recbole-bns run --model=LightGCN --{setting}={name}", "```", ""]
    lines += ["## Parameters", "", *_parameters(setting, cls.Params), ""]
    sweep = ROOT / "properties" / "sweep" / ("" if kind == "sampler" else kind) / f"{name}.yaml"
    if sweep.is_file():
        space = sweep.read_text(encoding="utf-8").rstrip()
        lines += ["## What `tune` searches over", "", "```yaml", space, "```", ""]
    chapter = inspect.getdoc(inspect.getmodule(cls)) or ""
    return "\n".join([*lines, "## The method", "", from_docstring(chapter), ""])


def _parameters(setting: str, params: Any) -> Iterator[str]:
    from recbole_bns.common.params import allowed, outside

    fields = dataclasses.fields(params)
    if not fields:
        yield "None."
        return
    yield from (f"| `{setting}_args.` | default | meaning | allowed |", "|---|---|---|---|")
    for field in fields:
        cells = [field.metadata["help"], allowed(field)]
        told = " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        yield f"| `{outside(field.name)}` | `{field.default}` | {told} |"


def from_docstring(text: str) -> str:
    """A module's docstring as Markdown: its formulas stay blocks, roles and ``<`` go."""
    text = re.sub(r":\w+:`~?\.*([^`]+)`", r"`\1`", text)
    lines = []
    for line in text.replace("::\n", ":\n").splitlines():
        plain = not line.startswith("    ")
        lines.append(re.sub(r"<(?![^`]*`[^`]*$)", "&lt;", line) if plain else line)
    return "\n".join(lines)


def api_page() -> str:
    """The public names of the package, and of the modules that are meant for other people."""
    import recbole_bns

    lines = [API_HEAD]
    rooms = {name: home.split(".")[0] for name, home in recbole_bns._HOME.items()}
    chapters = {
        title: [n for n, room in rooms.items() if room == key] for key, title in ROOMS.items()
    }
    chapters["Further names"] = [name for name, room in rooms.items() if room not in ROOMS]
    for title, names in chapters.items():
        if names:
            lines += [f"## {title}", "", *(f"::: recbole_bns.{name}\n" for name in names)]
    for module, title in FURTHER.items():
        names = _shown(import_module(module))
        lines += [f"## {title}", "", f"From `{module}`.", ""]
        lines += [f"::: {module}.{name}\n" for name in names]
    return "\n".join(lines)


API_HEAD = """# Python

What `import recbole_bns` offers; each name is imported when it is first used. Names that are not
on this page are free to change.
"""


def _shown(module: ModuleType) -> list[str]:
    """Public names of a module that are classes or functions of this package, contracts first."""
    names = [name for name in module.__all__ if inspect.isroutine(getattr(module, name))]
    classes = [name for name in module.__all__ if inspect.isclass(getattr(module, name))]
    if module.__name__.endswith(".testing"):
        return [name for name in classes if name.endswith("Contract")]
    return [*classes, *names]


def examples_page() -> str:
    """The programs in ``examples/``, each with what its docstring says."""
    lines = ["# Examples", "", "Whole programs; the tests run each of them.", ""]
    for path in sorted((ROOT / "examples").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        told = ast.get_docstring(ast.parse(source)) or ""
        title, _, rest = told.partition("\n")
        lines += [f"## {title.rstrip('.')} {{ #{path.stem} }}", "", rest.strip(), ""]
        body = source.split('"""', 2)[2].strip()
        lines += [f"`examples/{path.name}`:", "", "```python", body, "```", ""]
    return "\n".join(lines)
