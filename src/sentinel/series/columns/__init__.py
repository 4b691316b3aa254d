"""Samples in columns: unpacked, packed, and windows over them."""
