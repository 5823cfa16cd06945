"""The one error that a user sees."""


class WudiError(Exception):
    """A mistake or a condition that the user can mend.

    The message is written for a person: where, what was found, what is allowed, how to mend it.
    Every command prints it without a traceback and exits with status 1.
    """
