"""The `cityloom` command: a module a command, and what they share to follow and show a run."""
