"""Serve vectors over HTTP: a model, or a function that ``elmo_jax.export_function`` wrote.

    python examples/serve.py --model mini
    python examples/serve.py --exported elmo.npz

``POST /`` takes a JSON object with ``texts``, strings, or ``sentences``, lists of words. It answers
with ``vectors``, one for each. ``GET /`` says what is served. With ``--exported`` it needs only
NumPy and JAX, and ``exported.py`` beside it.
"""

import argparse
import contextlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 1_000_000
"""The size of a request."""


def with_model(source):
    """The function from a request's texts to vectors [B, D], by the model ``source``."""
    import elmo_jax

    elmo = elmo_jax.Elmo(source)

    def embed(name, texts):
        # Raw text is split as the text that the model was trained on; threads may share an Elmo.
        return elmo.embed_sentences(texts, tokenizer="auto" if name == "texts" else None)

    return embed


def with_exported(path):
    """The same by the function in a file; its texts are split at whitespace."""
    try:
        from examples import exported
    except ImportError:  # run as a script, with exported.py beside it
        import exported

    function = exported.load(path)

    def embed(name, texts):
        sentences = [text.split() for text in texts] if name == "texts" else texts
        return function(sentences) if sentences else []

    return embed


def items_of(request):
    """What a request asks for: "texts" or "sentences", and the list. ValueError for another."""
    is_one = type(request) is dict and len(request) == 1
    name, items = next(iter(request.items())) if is_one else ("nothing", None)
    if name not in ("texts", "sentences") or type(items) is not list:
        raise ValueError('Expected {"texts": ["..."]} or {"sentences": [["...", "..."]]}.')
    for number, item in enumerate(items):
        is_words = type(item) is list and all(type(word) is str and word for word in item)
        if not (type(item) is str if name == "texts" else is_words):
            expected = "a string" if name == "texts" else "a list of words, none of them empty"
            raise ValueError(f"Expected item {number} of {name!r} as {expected}.")
    return name, items


class Handler(BaseHTTPRequestHandler):
    """One request. The server has ``embed``, and ``about``, which ``GET /`` answers."""

    timeout = 30  # seconds, for clients that send nothing

    def do_GET(self):
        """Say what is served."""
        if self.is_home():
            self.answer(200, self.server.about)

    def do_POST(self):
        """Answer with vectors."""
        try:
            content = self.content()
            if self.is_home():
                vectors = self.server.embed(*items_of(json.loads(content)))
                self.answer(200, {"vectors": [vector.tolist() for vector in vectors]})
        except json.JSONDecodeError as error:
            self.answer(400, {"error": f"The request is not JSON: {error}."})
        except (ValueError, RecursionError) as error:  # ElmoError is a ValueError
            self.answer(400, {"error": str(error)})

    def is_home(self):
        """Whether the path is the only one; answer if it is not."""
        if self.path != "/":
            self.answer(404, {"error": f"There is no {self.path}, only /."})
        return self.path == "/"

    def content(self):
        """The body, whose size the client must tell."""
        length = self.headers.get("Content-Length", "")
        if not (length.isdecimal() and int(length) <= MOST_BYTES):
            raise ValueError(f"Expected a Content-Length of at most {MOST_BYTES:,} bytes.")
        return self.rfile.read(int(length))

    def answer(self, status, content):
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def make_server(embed, about, host="127.0.0.1", port=0):
    """A server that is ready for ``serve_forever``; port 0 is any that is free."""
    embed("texts", ["The first call compiles ."])  # now, and not while a client waits
    server = ThreadingHTTPServer((host, port), Handler)
    server.embed, server.about = embed, about
    return server


def main(argv=None):
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve vectors over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for other machines, too")
    parser.add_argument("--port", type=int, default=8000)
    served = parser.add_mutually_exclusive_group()
    served.add_argument("--model", default="mini", help="a model's name, folder or archive")
    served.add_argument("--exported", help="a file of elmo-jax export")
    args = parser.parse_args(argv)
    embed = with_exported(args.exported) if args.exported else with_model(args.model)
    about = {"serves": args.exported or args.model, "post": {"texts": ["The bank ."]}}
    with make_server(embed, about, args.host, args.port) as server:
        print("Serving on http://{}:{}".format(*server.server_address), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
