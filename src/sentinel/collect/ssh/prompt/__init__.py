"""Devices that talk to people: a terminal with prompts, pages and echoes, made to run fixed commands."""
