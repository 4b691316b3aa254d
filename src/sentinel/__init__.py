"""Sentinel: one daemon that polls, judges, opens incidents and tells the right person once."""

__version__ = "0.1.0"
