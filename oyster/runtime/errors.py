"""The two ways in which a person's input can fail, told apart by what should happen next."""


class InputError(Exception):
    """Something that was given cannot be used: the command ends with exit code 2 and has written nothing.

    The message says what was given, what was expected and how to mend it.
    """


class TrialFailure(Exception):
    """The encoder made the trial fail: it raised, gave a wrong shape, or made losses or weights non-finite.

    Unlike an infrastructure failure (killed, disk full) this is a property of the encoder: it can be recorded.
    """

    def __init__(self, reason: str, iteration: int = 0):
        super().__init__(reason)
        self.reason = reason
        self.iteration = iteration
