"""Write the report beside the cells."""

from __future__ import annotations

import os
from pathlib import Path

from mmgmp.apis.benchmark.data_report import to_csv, to_json
from mmgmp.apis.benchmark.page import to_html
from mmgmp.apis.benchmark.results import Results
from mmgmp.apis.benchmark.text_report import to_markdown


def write_report(results: Results) -> list[Path]:
    """Write ``report.json``, ``.csv``, ``.md`` and ``.html``.

    Args:
        results: What was measured.

    Returns:
        The files, in the work directory of the plan.
    """
    files = []
    folder = results.plan.work_dir
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, write in (
        ('json', to_json),
        ('csv', to_csv),
        ('md', to_markdown),
        ('html', to_html),
    ):
        path = folder / f'report.{suffix}'
        draft = folder / f'.report.{suffix}'
        draft.write_text(write(results), encoding='utf-8')
        os.replace(draft, path)
        files.append(path)
    return files
