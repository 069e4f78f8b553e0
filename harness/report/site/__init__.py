"""Static pages over any number of studies: papers, claims, methods, one flat table; nothing is loaded from elsewhere."""

from __future__ import annotations

from harness.report.site.build import build
from harness.report.site.gather import Gathered, gather

__all__ = ["Gathered", "build", "gather"]
