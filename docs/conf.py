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
# The notebook trains; tests/test_docs runs it, a build of the site does not.
nb_execution_mode = 'off'

apidoc_modules = [
    {
        'path': '../mmgmp',
        'destination': 'docs/api',
        'separate_modules': True,
        'module_first': True,
        'max_depth': 2,
    }
]
autodoc_typehints = 'signature'
autodoc_member_order = 'bysource'
autodoc_default_options = {'members': True, 'show-inheritance': True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
