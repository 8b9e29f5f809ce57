"""Where the platform runs: its settings, its servers, and the `cityloom` command."""
