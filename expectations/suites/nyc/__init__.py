"""New York's own rules."""
