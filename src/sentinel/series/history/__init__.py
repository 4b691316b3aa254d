"""History: every sample on disk for weeks, in a journal first and then packed in files; and back into the head."""
