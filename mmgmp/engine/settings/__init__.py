"""From a config to the facts that the rules on settings are applied to."""

from __future__ import annotations

from mmgmp.engine.settings.gather import gather_facts
from mmgmp.engine.settings.loaders import read_loader
from mmgmp.engine.settings.model import read_model

__all__ = ['gather_facts', 'read_loader', 'read_model']
