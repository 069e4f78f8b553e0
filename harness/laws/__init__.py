"""Scaling laws: `fit(law, data, columns, options)` and what it returns. `papertrial fit` is the same on the command line."""

from harness.laws.catalogue import LAWS
from harness.laws.fit import fit
from harness.laws.law import HUBER, LEAST_SQUARES, Column, Law, Power, Shape, Term
from harness.laws.result import Estimate, Fit, Part
from harness.laws.rows import Options

__all__ = ["HUBER", "LAWS", "LEAST_SQUARES", "Column", "Estimate", "Fit", "Law", "Options", "Part", "Power", "Shape", "Term", "fit"]
