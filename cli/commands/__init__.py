"""The commands, a module each; `cli.main.COMMANDS` lists them."""
