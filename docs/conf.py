"""Settings of the documentation site, for Sphinx: ``make docs``.

Sources are the pages of the whole repository, so that a link from one to
another is the same on a forge and on the site.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmgmp.version import __version__  # noqa: E402

project = 'mmgmp'
author = copyright = 'mmgmp contributors'
release = version = __version__
html_title = f'mmgmp {__version__}'

extensions = [
    'myst_nb',  # pages in Markdown, and the notebook
    'sphinx.ext.apidoc',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
root_doc = 'docs/index'
include_patterns = [
    'docs/**',
    'README.md',
    '[CS]*.md',
    'benchmarks/README.md',
    'configs/*/README.md',
    'data_prep/**/README.md',
]
exclude_patterns = ['docs/images/**', 'docs/conf.py']
html_theme = 'furo'

myst_heading_anchors = 3
# The notebook renders, trains and tests: its outputs are those of this build.
nb_execution_mode = 'force'
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# A class that a package offers again has two places; either will do.
suppress_warnings = ['ref.python']

apidoc_modules = [
    {
        'path': '../mmgmp',
        'destination': 'docs/api',
        'separate_modules': False,
        'module_first': True,
        'max_depth': 2,
    }
]
autodoc_typehints = 'signature'
autodoc_member_order = 'bysource'
autodoc_default_options = {
    'members': True,
    'show-inheritance': True,
    # A class is documented where it is defined, not where it is offered.
    'ignore-module-all': True,
}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
