"""The errors that a user can fix."""

from typing import Literal

FailedStatus = Literal["refused", "diverged", "uninformative", "crashed"]
"""How a training run failed.

`refused`: it cannot be trained as configured. `diverged`: its reward collapsed, its loss or gradient is not
finite, or the policy that samples is not the one that is trained. `uninformative`: none of its first groups
had anything to learn from. `crashed`: another error, in every attempt that was allowed.
"""

RunStatus = Literal["finished", "exhausted", FailedStatus]
"""How a training run ended; `exhausted`: complete before its last step, as there was no more to learn."""


class UserError(Exception):
    """Something in the input is wrong and the user can fix it.

    The message names the file, the key or line, the value, and the fix. The command line prints
    it without a traceback and exits with 1.
    """


EXIT_TRY_AGAIN = 75
"""Exit code of the command line for :class:`TryAgain`: `EX_TEMPFAIL` of sysexits.h."""


class TryAgain(UserError):
    """Nothing is wrong: the same command continues later."""


class RunFailure(UserError):
    """A training run cannot be finished, and trying again would end the same way."""

    def __init__(self, status: FailedStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
