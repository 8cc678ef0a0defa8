"""The maths of gradient strategies; every file here registers itself."""

from mmgmp.utils.import_submodules import import_submodules

import_submodules(__name__, __path__)
