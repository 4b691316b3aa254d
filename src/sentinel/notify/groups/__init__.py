"""Notification groups: alerts that one receiver is told together, when, and what of it has been told.

A group is a row of the database, and so is each of its alerts; what is told of it goes into the outbox in the same
transaction. Nothing of it lives in memory, so nothing of it is lost.
"""
