"""The machine Sentinel runs on, and Sentinel's own metrics as a target."""
