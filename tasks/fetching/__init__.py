"""Where checkpoints come from, a module a kind of source: the Hub, a folder, a URL of fsspec, the zoo."""
