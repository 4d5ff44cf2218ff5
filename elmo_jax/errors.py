"""The errors and warnings of this library: what was expected, what came, where, and what to do."""


class ElmoError(ValueError):
    """Base of every error that this library raises on purpose.

    It is a ``ValueError``, so code that guards against bad input in general keeps working.
    """


class ElmoWarning(UserWarning):
    """Base of every warning that this library gives on purpose."""


class DeviceMemoryWarning(ElmoWarning):
    """A device ran out of memory, and the run goes on with fewer lanes."""


class WordsCutWarning(ElmoWarning):
    """Words are longer than the model reads: it saw only their first bytes."""


class UnknownWordsWarning(ElmoWarning):
    """More than a fifth of the words are not in the vocabulary of the softmax."""


class WhitespaceWarning(ElmoWarning):
    """What looks like one word holds whitespace, or was split at an unusual kind of it."""


class DuplicateKeysWarning(ElmoWarning):
    """Records of a corpus share a key, which should name one of them."""
