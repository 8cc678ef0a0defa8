"""Shipped configs that many tests start from, named in one place."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: GMP on the small synthetic corpus; the target is "human".
GMP = ROOT / (
    'configs/gmp/gmp_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
)
