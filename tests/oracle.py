"""ELMo in NumPy, float64 and plain loops: what every other computation is compared with.

It reads the formats directly and shares no code with the library. `Oracle` takes the published
one: `options` (the dict of options.json) and `weights` (HDF5 dataset name -> array). `TableOracle`
is bilm-tf's model that knows words as a whole, `LexiconOracle` that of ELMoForManyLangs.

Dimensions: B sentences, T tokens, C characters, E character dimension, F filters, P projection,
D = 2P, H cell, G = 4H gates, L layers with the token layer. Products are x·W throughout.
"""

import json

import h5py
import numpy as np

# Ids before the +1 shift; 0..255 are bytes.
BOS, EOS, BEGIN_WORD, END_WORD, PAD = 256, 257, 258, 259, 260


def read_json(path):
    """Read a JSON file, for instance options.json."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_weights(path):
    """Read every dataset of a weight file: {name: float64 array}."""
    weights = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            weights[name] = item[()].astype(np.float64)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return weights


def character_ids(word, width):
    """Spell a word: [begin-word, at most width - 2 bytes, end-word, pad ...], each id + 1."""
    if word == "<S>":
        units = [BOS]
    elif word == "</S>":
        units = [EOS]
    else:
        units = list(word.encode("utf-8", errors="ignore"))[: width - 2]
    ids = [BEGIN_WORD, *units, END_WORD]
    ids += [PAD] * (width - len(ids))
    return [i + 1 for i in ids]


def sigmoid(x):
    """The logistic function, in the form that overflows nowhere."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0.0)


def token_vector(options, weights, ids):
    """The context-independent vector [P] of one word from its C shifted character ids."""
    cnn = options["char_cnn"]
    # float64 from here on: a float32 weight meeting a float64 vector is promoted exactly.
    embed = np.asarray(weights["char_embed"], np.float64)
    embed = np.concatenate([np.zeros((1, embed.shape[1])), embed])  # row 0: a padded token
    chars_CE = embed[ids]

    features = []
    for i in range(len(cnn["filters"])):
        kernel, bias = weights[f"CNN/W_cnn_{i}"][0], weights[f"CNN/b_cnn_{i}"]
        features.append(character_features(chars_CE, kernel, bias, cnn["activation"]))
    x = np.concatenate(features)

    for k in range(cnn.get("n_highway") or 0):
        carry, transform = (
            x @ weights[f"CNN_high_{k}/W_{part}"] + weights[f"CNN_high_{k}/b_{part}"]
            for part in ("carry", "transform")
        )
        g = sigmoid(carry)
        x = g * relu(transform) + (1.0 - g) * x

    if len(x) != options["lstm"]["projection_dim"]:
        x = x @ weights["CNN_proj/W_proj"] + weights["CNN_proj/b_proj"]
    return x


def character_features(chars_CE, kernel, bias, activation):
    """What filters find in a word, [n filters]; the kernel is [span, E, n filters]."""
    span, _, n_filters = kernel.shape
    windows = [chars_CE[t : t + span].ravel() for t in range(len(chars_CE) - span + 1)]
    conv = np.array([window @ kernel.reshape(-1, n_filters) for window in windows]) + bias
    highest = conv.max(axis=0)  # over all positions, those of the pad characters too
    return np.tanh(highest) if activation == "tanh" else relu(highest)


def clip(x, bound):
    """Clip to ±bound; None is no bound."""
    return x if bound is None else np.clip(x, -bound, bound)


def lstm_step(options, cell_weights, x, c, h):
    """One step of one cell: (new c, new h), which are also what is carried on.

    Without a projection there is no W_P_0, and proj_clip bounds nothing: it belongs to the
    projection (TensorFlow's LSTMCell, with which the published files were made). bilm-tf has none
    if H = P.
    """
    lstm = options["lstm"]
    z = np.concatenate([x, h]).astype(np.float64) @ cell_weights["W_0"] + cell_weights["B"]
    i, j, f, o = np.split(z, 4)
    c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(j)
    c = clip(c, lstm.get("cell_clip"))
    h = sigmoid(o) * np.tanh(c)
    if "W_P_0" in cell_weights:
        h = clip(h @ cell_weights["W_P_0"], lstm.get("proj_clip"))
    return c, h


class Oracle:
    """The biLM. A state is a list of rows, and row[direction][layer] = (c [H], h [P]).

    `weights` has the cells as `RNN_{direction}/…/Cell{layer}/…`. A model that makes another vector
    of a word changes `vector`, and `boundaries` and `visible` where it has to.
    """

    boundaries = ("<S>", "</S>")

    def __init__(self, options, weights):
        self.options, self.weights = options, weights
        self.n_layers = options["lstm"].get("n_layers", 1)
        self.token_vectors = {}  # word -> token vector, so that no word is spelled out twice

    def layers(self, sentence, boundaries=False):
        """Layers [L, T, D] of one sentence from a zero state (T + 2 with boundaries)."""
        return self.layers_with_state([sentence], None, boundaries)[0][0]

    def layers_with_state(self, batch, state, boundaries=False):
        """Layers [L, T, D] of each sentence, and the new state.

        Row i continues from row i of `state` (None or too short: from zeros); rows beyond the
        batch keep what they had. `state` itself is left as it was.
        """
        state = list(state or [])
        state += [self._zero_row() for _ in range(len(batch) - len(state))]
        results = []
        for i, sentence in enumerate(batch):
            layers, state[i] = self._run(sentence, state[i])
            results.append(layers if boundaries else layers[:, 1:-1])
        return results, state

    def _zero_row(self):
        lstm = self.options["lstm"]
        zeros = (np.zeros(lstm["dim"]), np.zeros(lstm["projection_dim"]))
        return [[zeros] * self.n_layers for _ in range(2)]

    def vector(self, word):
        """The context-independent vector [P] of a word or boundary."""
        ids = character_ids(word, self.options["char_cnn"]["max_characters_per_token"])
        return token_vector(self.options, self.weights, ids)

    def visible(self, word):
        """What the model reads of a word, if it cuts it before anything else."""
        return word

    def _token(self, word):
        if word not in self.token_vectors:
            self.token_vectors[word] = self.vector(word)
        return self.token_vectors[word]

    def _run(self, sentence, row):
        """Layers [L, T + 2, D] of BOS, sentence, EOS, and the row's new state."""
        begin, end = self.boundaries
        words = [begin, *map(self.visible, sentence), end]
        tokens = [self._token(word) for word in words]
        outputs, new_row = ([], []), ([], [])  # each: forward, backward
        for d in range(2):
            inputs = tokens if d == 0 else tokens[::-1]  # backward: from EOS to BOS
            for k in range(self.n_layers):
                name = f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell/"
                cell = {n[len(name) :]: w for n, w in self.weights.items() if n.startswith(name)}
                c, h = row[d][k]
                steps = []
                for x in inputs:
                    c, h = lstm_step(self.options, cell, x, c, h)
                    skips = k > 0 and self.options["lstm"].get("use_skip_connections")
                    steps.append(h + x if skips else h)
                new_row[d].append((c, h))  # after EOS forward, after BOS backward
                outputs[d].append(steps if d == 0 else steps[::-1])
                inputs = steps
        layers = [np.concatenate([tokens, tokens], axis=-1)]
        for forward, backward in zip(*outputs, strict=True):
            layers.append(np.concatenate([forward, backward], axis=-1))
        return np.array(layers), list(new_row)


class TableOracle(Oracle):
    """A biLM of bilm-tf without `char_cnn`: a word's vector is its row in the dataset `embedding`.

    `words` are the lines of the vocabulary; a word that is not among them has the row of `<UNK>`.
    """

    def __init__(self, options, weights, words):
        super().__init__(options, weights)
        self.rows = {word: row for row, word in enumerate(words)}

    def vector(self, word):
        """The word's row [P]."""
        return self.weights["embedding"][self.rows.get(word, self.rows["<UNK>"])]


class LexiconOracle(Oracle):
    """A biLM of ELMoForManyLangs, from its tensors (PyTorch: kernels are [out, in]).

    `options` is the dict of its CNN configuration, `tensors` those of encoder.pkl and
    token_embedder.pkl by name, `words` and `characters` the tokens of word.dic and char.dic by id.
    """

    boundaries = ("<bos>", "<eos>")

    def __init__(self, options, tensors, words, characters):
        tensors = {name: np.asarray(tensor, np.float64) for name, tensor in tensors.items()}
        encoder = options["encoder"]
        lstm = {"use_skip_connections": True}
        lstm |= {key: encoder[key] for key in ("dim", "projection_dim", "n_layers")}
        lstm |= {key: encoder.get(key) or None for key in ("cell_clip", "proj_clip")}  # 0 is none
        super().__init__({"lstm": lstm}, torch_cells(tensors, encoder["n_layers"]))
        self.layer, self.tensors = options["token_embedder"], tensors
        self.words, self.characters = words, characters

    def visible(self, word):
        """The word without what does not fit between its two marks, in code points."""
        return word[: self.layer["max_characters_per_token"] - 2]

    def spelling(self, word):
        """The rows of a word's characters; the marks of a word stand the wrong way round."""
        inner = [word] if word in self.boundaries else list(word)
        spelled = ["<eow>", *inner, "<bow>"]
        spelled += ["<pad>"] * (self.layer["max_characters_per_token"] - len(spelled))
        return [row_of(character, self.characters) for character in spelled]

    def vector(self, word):
        """The vector [P] of a word: its own and that of its characters, then a projection."""
        parts = []
        if self.layer["word_dim"]:
            table = self.tensors["word_emb_layer.embedding.weight"]
            parts.append(table[row_of(word, self.words)])
        if self.layer["char_dim"]:
            parts.append(self._read_characters(word))
        kernel = self.tensors["projection.weight"]
        return kernel @ np.concatenate(parts) + self.tensors["projection.bias"]

    def _read_characters(self, word):
        chars_CE = self.tensors["char_emb_layer.embedding.weight"][self.spelling(word)]
        features = []
        for i in range(len(self.layer["filters"])):
            kernel = self.tensors[f"convolutions.{i}.weight"]  # [n filters, E, span]
            bias = self.tensors[f"convolutions.{i}.bias"]
            kernel = kernel.transpose(2, 1, 0)
            features.append(character_features(chars_CE, kernel, bias, self.layer["activation"]))
        x = np.concatenate(features)
        for k in range(self.layer["n_highway"]):
            name = f"highways._layers.{k}."
            transform, gate = np.split(
                self.tensors[name + "weight"] @ x + self.tensors[name + "bias"], 2
            )
            g = sigmoid(gate)
            x = g * x + (1.0 - g) * relu(transform)  # bilm-tf's gate is the other one's
        return x


def row_of(entry, lexicon):
    """The number of an entry in a lexicon, or that of `<oov>`."""
    return lexicon.index(entry if entry in lexicon else "<oov>")


def torch_cells(tensors, n_layers):
    """The cells of an LSTM as AllenNLP names its tensors, in the layout of the published format.

    The gates are in another order, i, f, candidate, o, and the 1 of the forget gate is in the bias.
    """
    weights = {}
    for d, direction in enumerate(("forward", "backward")):
        for k in range(n_layers):
            cell = f"{direction}_layer_{k}."
            target = f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell/"
            kernel = np.concatenate(
                [tensors[cell + f"{part}_linearity.weight"] for part in ("input", "state")], axis=1
            )
            i, f, j, o = np.split(kernel, 4)
            weights[target + "W_0"] = np.concatenate([i, j, f, o]).T
            i, f, j, o = np.split(tensors[cell + "state_linearity.bias"], 4)
            weights[target + "B"] = np.concatenate([i, j, f - 1.0, o])
            weights[target + "W_P_0"] = tensors[cell + "state_projection.weight"].T
    return weights


def scalar_mix(weights, gamma, layers, mask=None, layer_norm=False):
    """γ · Σ softmax(weights)_l · layer_l: [B, L, T, D] -> [B, T, D], zeros where masked.

    `layer_norm`: each layer by one mean and one variance over all unmasked tokens and
    dimensions of the batch.
    """
    layers = np.asarray(layers, np.float64)
    n_sentences, n_layers, n_tokens, dim = layers.shape
    mask = np.ones((n_sentences, n_tokens)) if mask is None else np.asarray(mask)
    mask = mask.astype(bool)
    shares = np.exp(np.asarray(weights, np.float64) - np.max(weights))
    shares /= shares.sum()
    mixed = np.zeros((n_sentences, n_tokens, dim))
    for k in range(n_layers):
        tokens = layers[:, k][mask]  # [unmasked tokens, D]
        if layer_norm and tokens.size:
            tokens = (tokens - tokens.mean()) / np.sqrt(tokens.var() + 1e-12)
        mixed[mask] += shares[k] * tokens
    return gamma * mixed


def allennlp_layer_norm_mix(weights, gamma, sentences):
    """AllenNLP's mix with do_layer_norm=True: [L, n + 2, D] of each sentence -> [n, D] of each.

    `Elmo.forward` (allennlp/modules/elmo.py) mixes the layers that `_ElmoBiLm` gives with BOS and
    EOS, under a mask that has them, and only then calls `remove_sentence_boundaries`. So the one
    mean and variance of a layer (`_do_layer_norm` in allennlp/modules/scalar_mix.py) include the
    boundaries of every sentence.
    """
    shares = np.exp(np.asarray(weights, np.float64) - np.max(weights))
    shares /= shares.sum()
    mixed = [np.zeros(layers.shape[1:]) for layers in sentences]
    for k, share in enumerate(shares):
        values = np.concatenate([np.asarray(layers[k], np.float64).ravel() for layers in sentences])
        for i, layers in enumerate(sentences):
            mixed[i] += share * (layers[k] - values.mean()) / np.sqrt(values.var() + 1e-12)
    return [gamma * vectors[1:-1] for vectors in mixed]


def pool(vectors, how):
    """One vector from the tokens of a sentence, [..., T, D] -> [..., D]; zeros if T = 0."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.shape[-2] == 0:
        return np.zeros(vectors.shape[:-2] + vectors.shape[-1:])
    return {"mean": np.mean, "max": np.max}[how](vectors, axis=-2)
