"""Audio-visual multimodal domain generalisation for MMAction2.

Importing the package is light: it repairs what the published MMAction2 and
MMEngine need repaired (:mod:`mmgmp.utils.compat`) and tells MMAction2's
registries which rooms to import when a config first names a class.

Example:
    >>> import mmgmp
    >>> from mmgmp.registry import MODELS
    >>> MODELS.get('ConcatFusion').__module__.startswith('mmgmp.')
    True
"""

from __future__ import annotations

from mmgmp.utils.compat import apply_compat
from mmgmp.version import __version__

apply_compat()

# The repairs above must precede the first import of MMAction2.
from mmgmp import registry  # noqa: E402

__all__ = ['__version__', 'registry']
