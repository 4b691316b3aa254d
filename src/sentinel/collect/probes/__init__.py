"""Probes from outside: does a service answer, how fast, and is what it says right?

One probe is one poll of a target by a module of kind "probe". What is read from module files is blackbox_exporter's
format, and the series carry its names; a probe that fails is `probe_success` 0, while the poll itself is up.
"""
