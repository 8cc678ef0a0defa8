"""What a converter has made, or what is wrong with what it was given."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgmp.utils.draft_files import write_texts


def write_annotations(
    out_dir: Path,
    prefix: str,
    annotations: Mapping[str, Mapping[str, Any]],
    problems: Sequence[str] = (),
    texts: Mapping[Path, str] | None = None,
) -> bool:
    """Write the annotation of every split, or print all problems.

    Args:
        out_dir: Folder of ``<prefix>_<split>.json``.
        prefix: Beginning of the file names.
        annotations: Annotation by split.
        problems: If there are any, nothing is written.
        texts: Further files to write, text by path.

    Returns:
        Whether all files were written; if not, none was.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = write_annotations(Path(folder), 'hac', {'test': {}})
        ...     done, [path.name for path in Path(folder).iterdir()]
        (True, ['hac_test.json'])
    """
    if problems:
        _tell(*problems, f'{len(problems)} problems, nothing written')
        return False
    contents = {
        out_dir / f'{prefix}_{split}.json': json.dumps(
            annotation, indent=1, ensure_ascii=False
        )
        + '\n'
        for split, annotation in annotations.items()
    }
    try:
        write_texts({**contents, **(texts or {})})
    except OSError as error:
        _tell(f'out_dir: {error}; nothing written')
        return False
    return True


def _tell(*lines: str) -> None:
    sys.stderr.writelines(f'{line}\n' for line in lines)
