"""The demo city's own rules."""
