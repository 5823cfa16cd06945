"""What each word of the `wudi` command does: a module a word, with `add` for its arguments and `run` for the work."""
