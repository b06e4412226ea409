"""The error that a user can fix."""


class UserError(Exception):
    """Something in the input is wrong and the user can fix it.

    The message names the file, the key or line, the value, and the fix. The command line prints
    it without a traceback and exits with 1.
    """
