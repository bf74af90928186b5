"""What can go wrong, in words a user can act on."""


class BoxwoodError(Exception):
    """Base of every error this package raises on purpose; its text is one sentence for the user."""


class InputError(BoxwoodError, ValueError):
    """A value, an option or an array is not what was expected."""


class FileFormatError(InputError):
    """A file cannot be understood; the text names the file, and the table and line where it can."""


class JobError(BoxwoodError):
    """A job cannot go on."""


class JobAborted(BoxwoodError):
    """The user asked a running job to stop."""
