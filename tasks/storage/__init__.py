"""DVC's cache and remotes: what revisions name in them, what can be dropped, what can be brought back."""
