"""How Sphinx builds these pages: ``python -m sphinx -W -b html docs docs/_build/html``.

Nothing is fetched from the network, and the modules of extras are documented without the packages
that they need.
"""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

import elmo_jax  # noqa: E402

project = "elmo-jax"
version = release = elmo_jax.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "command_help"]
if importlib.util.find_spec("sphinx_copybutton"):
    extensions.append("sphinx_copybutton")
    copybutton_exclude = ".linenos, .gp, .go"  # copies no prompts and no output
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"elmo-jax {version}"
html_static_path = ["_static"]
html_css_files = ["inline.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 3

_EXTRAS = ("ray", "sklearn", "spacy", "pyarrow")
autodoc_mock_imports = [name for name in _EXTRAS if importlib.util.find_spec(name) is None]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_use_rtype = False


def _leave_out_fields(app, what, name, obj, skip, options):
    """A named tuple's fields are told of as its attributes; here they are "Alias for field 0"."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    """Tell Sphinx."""
    app.connect("autodoc-skip-member", _leave_out_fields)
