"""The machine Sentinel runs on, read with psutil, and Sentinel itself."""
