"""Rule files, the alert state machine, templates and rule unit tests."""
