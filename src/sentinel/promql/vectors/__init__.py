"""Operators, vector matching and aggregations."""
