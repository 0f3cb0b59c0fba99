"""The parts of pages: files of ours to include verbatim, and templates."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import jinja2
import markupsafe

_HERE = Path(__file__).parent


@functools.cache
def part(name: str) -> markupsafe.Markup:
    """Return a file of ours to include verbatim."""
    return markupsafe.Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 (nothing of a user's is in it)


class Script(NamedTuple):
    """A script that may run in a page, and its name in the content security policy."""

    text: markupsafe.Markup
    digest: str


def scripts(name: str) -> list[Script]:
    """A page's own script, after those that all pages share, which draw curves and keep the theme."""
    return [Script(part(one), digest(part(one))) for one in ("vendor/uPlot.iife.min.js", "assets/theme.js", name)]


def digest(script: str) -> str:
    """Return the script's hash as a content security policy writes it (CSP level 3, section 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a page's template. A missing value is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
