"""One vector per word, for gensim and other programs that know word vectors.

ELMo gives a word another vector in each sentence. What stands for the word alone is the mean over a
text, ``average``, or what the token layer makes of its spelling, ``without_context``. The vectors
behind such a mean are ``in_context``.

Example:
    >>> from elmo_jax import Elmo, word_vectors
    >>> vectors = word_vectors.average(Elmo(), sentences, layers=1)
    >>> vectors.most_similar("bank", n=2)
    [('banks', 0.83), ('shore', 0.79)]
    >>> vectors.save("words.vec")
"""

from __future__ import annotations

from .from_model import average, in_context, without_context
from .lookup import WordVectors

__all__ = ["WordVectors", "average", "in_context", "without_context"]
