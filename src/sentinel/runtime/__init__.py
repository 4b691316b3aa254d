"""Clock, supervised tasks, backoff, systemd notification, logs and own metrics."""
