"""Whether Sentinel itself is cut off, so that nobody blames two hundred devices for one cable."""
