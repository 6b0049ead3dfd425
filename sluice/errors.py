"""The one exception for what a user or operator must act on."""


class SluiceError(Exception):
    """A broken world or a wrong input, in one plain sentence that says what to do.

    The command line prints it and exits 1.
    """
