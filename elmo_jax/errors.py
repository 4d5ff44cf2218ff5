"""The errors of this library: what was expected, what came, where, and what to do."""


class ElmoError(ValueError):
    """Base of every error that this library raises on purpose.

    It is a ``ValueError``, so code that guards against bad input in general keeps working.
    """


class DeviceMemoryWarning(UserWarning):
    """A device ran out of memory, and the run goes on with fewer lanes."""
