"""The report as JSON and CSV: complete in itself, fit to be committed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mmgmp.apis.benchmark.conditions import conditions
from mmgmp.apis.benchmark.results import Results, as_record, ratio_summaries
from mmgmp.apis.benchmark.text_report import notes
from mmgmp.utils.plain_text import csv_cell


def to_json(results: Results) -> str:
    """Write everything as JSON."""
    plan = results.plan
    report = {
        'title': plan.title,
        'corpus': plan.corpus,
        'synthetic': plan.synthetic,
        'seeds': plan.seeds,
        'checkpoint': plan.checkpoint,
        'notes': notes(results),
        'conditions': conditions(results),
        'tables': [asdict(table) for table in results.tables],
        'ratios_last_epoch': {
            ' '.join(filter(None, group)): {
                name: asdict(summary) for name, summary in by_name.items()
            }
            for group, by_name in ratio_summaries(results).items()
        },
        'oracle': {
            method: {'selected': selected, 'best_on_target': best}
            for method, (selected, best) in results.oracle.items()
        },
        'runs': [as_record(run) for run in results.runs],
    }
    return json.dumps(_finite(report), indent=1, allow_nan=False) + '\n'


def _finite(value: Any) -> Any:
    """Write null for what JSON has no number for."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def to_csv(results: Results) -> str:
    """Write one line per cell as CSV.

    Texts that a spreadsheet would take for a formula get an apostrophe in
    front.
    """
    records = [
        {csv_cell(name): csv_cell(value) for name, value in row.items()}
        for row in map(as_record, results.runs)
    ]
    names = list(dict.fromkeys(name for r in records for name in r))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator='\n')
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
