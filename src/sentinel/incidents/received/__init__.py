"""Alerts that others send: how long they are believed, and what the ledger is told of them."""
