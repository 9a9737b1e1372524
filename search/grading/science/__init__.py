"""Quantities with units, and chemical formulas."""
