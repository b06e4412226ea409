"""The errors that a user can fix."""


class UserError(Exception):
    """Something in the input is wrong and the user can fix it.

    The message names the file, the key or line, the value, and the fix. The command line prints
    it without a traceback and exits with 1.
    """


class TryAgain(UserError):
    """Nothing is wrong: the same command continues later. The command line exits with 75 (`EX_TEMPFAIL`)."""
