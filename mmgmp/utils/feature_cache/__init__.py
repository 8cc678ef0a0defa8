"""Files that hold what frozen encoder stages made of a corpus.

A cache is a folder: ``cache.json`` says what it is a cache of
(:mod:`.manifest`), ``<part>-<number>.safetensors`` hold the maps
(:mod:`.shards`). A part is one pipeline: ``train`` with V views of every
clip, ``val`` and, where its pipeline is another one, ``test`` with one.
"""

from __future__ import annotations

from mmgmp.utils.feature_cache.identity import (
    as_plain,
    describe_encoder,
    digest_weights,
    identify_media,
    is_same_file,
)
from mmgmp.utils.feature_cache.manifest import (
    MANIFEST,
    CacheMismatchError,
    Manifest,
    Part,
    differences,
    read_manifest,
    write_manifest,
)
from mmgmp.utils.feature_cache.pipelines import (
    check_pipelines,
    describe_pipeline,
    split_pipeline,
)
from mmgmp.utils.feature_cache.shards import (
    CacheReader,
    Shard,
    UnreadableClipError,
    shard_path,
    write_shard,
)

__all__ = [
    'MANIFEST',
    'CacheMismatchError',
    'CacheReader',
    'Manifest',
    'Part',
    'Shard',
    'UnreadableClipError',
    'as_plain',
    'check_pipelines',
    'describe_encoder',
    'describe_pipeline',
    'differences',
    'digest_weights',
    'identify_media',
    'is_same_file',
    'read_manifest',
    'shard_path',
    'split_pipeline',
    'write_manifest',
    'write_shard',
]
