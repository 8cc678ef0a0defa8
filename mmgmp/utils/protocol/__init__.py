"""Which domain is unseen and what is looked at, said once in a config.

``protocol`` names the domains of a corpus, the unseen one, the modalities and
the number of classes. :func:`resolve_protocol` writes it out into the data
loaders, the model and the default work directory; what it returns is a plain
config, and writing it out again changes nothing.

=====================  ===================================================
``domains``            all domains of the corpus, in label order
``target``             the unseen one, or a list of them; none if ``in_domain``
``sources``            those trained on; None takes all others
``modalities``         those that the model looks at
``num_classes``        classes of the corpus
``companions``         by modality: what is read with it when it is alone
``missing``            a list of modalities that are absent at test time, or
                       their stand-ins by name
``corruption``         kind of damage by modality, and ``severity``; tests only
``measure``            what a test reports besides or instead of accuracy
``foreign``            options of the data set that is told from the corpus
``cache``              folder of a feature cache to read instead of the files
``views``              views of a sample that training draws among, and
                       ``view_seed``, which ones
``oracle``             True trains on the target as well, as an upper bound
``in_domain``          True: no domain is unseen, and the sources are tested on
                       clips that are not trained on; ``target`` is left out
``unknown_classes``    classes that are not trained on; a test with
                       ``measure='open_set'`` has samples of them
``allow_seen_target``  lets a target be among the sources, or select
=====================  ===================================================

Keys that are left out, or None, have no effect. Further keys are refused, so
that a misspelt one cannot go unnoticed.
"""

from __future__ import annotations

from mmgmp.utils.protocol.caching import (
    CACHE_KEY,
    check_frozen,
    read_files,
    unwrap_views,
)
from mmgmp.utils.protocol.reading import Protocol, read_protocol
from mmgmp.utils.protocol.writing import find_datasets, resolve_protocol

__all__ = [
    'CACHE_KEY',
    'Protocol',
    'check_frozen',
    'find_datasets',
    'read_files',
    'read_protocol',
    'resolve_protocol',
    'unwrap_views',
]
