"""Pages of docs/ and the API from docstrings, by Sphinx: `make docs` writes `build/docs`."""

import tomllib
from pathlib import Path

project = "papertrial"
author = "The papertrial authors"
release = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"papertrial {release}"
html_show_copyright = False
html_show_sourcelink = False
myst_heading_anchors = 3
# Pages link to files beside docs/, which have no page here; tests/test_readme.py follows every link.
suppress_warnings = ["myst.xref_missing"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
