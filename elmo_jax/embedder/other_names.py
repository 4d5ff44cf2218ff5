"""Methods of other libraries' models: an error says what to write here."""

_DEVICES = "Elmo(..., devices=jax.devices()[:1]) chooses devices"
_SUMS = 'elmo.embed(sentences, layers="average")'

_HERE = {
    # AllenNLP
    "embed_sentence": "elmo.embed([words])[0]",
    "embed_batch": "elmo.embed(sentences)",
    "forward": "elmo.embed(sentences)",
    # simple_elmo, ELMoForManyLangs
    "get_elmo_vectors": f"{_SUMS}, or embed_padded for one array",
    "get_elmo_vector_average": "elmo.embed_sentences(sentences)",
    "sents2elmo": _SUMS,
    # sentence-transformers, Hugging Face's libraries
    "similarity": "a @ b.T of vectors from elmo.encode(texts, normalize_embeddings=True)",
    "tokenize": "elmo_jax.tokenizer_named(elmo.tokenizer)(text)",
    "save": "elmo.save_pretrained(path)",
    # PyTorch
    "to": _DEVICES,
    "cuda": _DEVICES,
    "cpu": _DEVICES,
    "eval": "leave it out: an Elmo is never in training",
    # gensim
    "most_similar": "elmo_jax.word_vectors.average(elmo, sentences).most_similar(word)",
    "wv": "elmo_jax.word_vectors.average(elmo, sentences)",
}


def here(name: str) -> str:
    """A sentence with what does the work of another library's method; empty if none is known."""
    return f". Here: {_HERE[name]}" if name in _HERE else ""
