"""A whole table by one command: run, resume, aggregate, report."""

from __future__ import annotations

from mmgmp.apis.benchmark.plan import Plan, load_plan
from mmgmp.apis.benchmark.processes import Launch
from mmgmp.apis.benchmark.results import collect_results
from mmgmp.apis.benchmark.runner import BenchmarkRunner, list_cells
from mmgmp.apis.report import Results, paired_difference, tables, write_report

__all__ = [
    'BenchmarkRunner',
    'Launch',
    'Plan',
    'Results',
    'collect_results',
    'list_cells',
    'load_plan',
    'paired_difference',
    'tables',
    'write_report',
]
