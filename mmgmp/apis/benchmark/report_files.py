"""Write the report beside the cells."""

from __future__ import annotations

from pathlib import Path

from mmgmp.apis.benchmark.data_report import to_csv, to_json
from mmgmp.apis.benchmark.page import to_html
from mmgmp.apis.benchmark.results import Results
from mmgmp.apis.benchmark.text_report import to_markdown
from mmgmp.utils import draft_files


def write_report(results: Results) -> list[Path]:
    """Write ``report.json``, ``.csv``, ``.md`` and ``.html``.

    Args:
        results: What was measured.

    Returns:
        The files, in the work directory of the plan.
    """
    files = []
    folder = results.plan.work_dir
    for suffix, write in (
        ('json', to_json),
        ('csv', to_csv),
        ('md', to_markdown),
        ('html', to_html),
    ):
        path = folder / f'report.{suffix}'
        with draft_files(path) as [draft]:
            draft.write_text(write(results), encoding='utf-8')
        files.append(path)
    return files
