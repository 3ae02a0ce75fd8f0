"""Tests read like specifications; see docs/architecture.md."""
