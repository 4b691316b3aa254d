"""Alertmanager's API v2: alerts taken in; alerts, groups, silences and receivers shown as its clients expect."""
