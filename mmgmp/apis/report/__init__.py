"""Tables, statistics and the page of a plan, from a long-form frame.

What is reported comes in as :class:`Results`; nothing here knows how it was
run, or reads the files of a cell.
"""

from __future__ import annotations

from mmgmp.apis.report.page import write_report
from mmgmp.apis.report.results import Results
from mmgmp.apis.report.tables import paired_difference, tables

__all__ = ['Results', 'paired_difference', 'tables', 'write_report']
