"""Watches news feeds on a subject: polls, deduplicates, tags with evidence, stores and republishes."""
