"""Is a file plain UTF-8 text? Its first bytes tell.

``check_is_text`` refuses what cannot be UTF-8 text, whatever the user says: binary files and other
encodings. ``check_is_plain`` refuses text that most likely has another format: FASTA, JSON and the
like. That is a guess, so it is skipped if the user names the format.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import IO, Any

from ..errors import ElmoError

HEAD_BYTES = 4096  # the checks look at the first bytes of a file only, its head

_UNPACK = "Name it with the suffix {0}, or unpack it first."
_DOCUMENT = "Unpack it, or save the document as plain text in UTF-8."
_VECTORS = "Expected the text, not a file of numbers."
_AS_PARQUET = "Write it as Parquet: format='parquet' reads that."

_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip data", _UNPACK.format(".gz")),
    (b"\xfd7zXZ\x00", "xz data", _UNPACK.format(".xz")),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", _UNPACK.format(".zst")),
    (b"PK\x03\x04", "a zip archive, as .docx, .xlsx, .odt and .npz files are", _DOCUMENT),
    (b"PK\x05\x06", "a zip archive without files", "Unpack it first."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"Rar!\x1a\x07", "a rar archive", "Unpack it first."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", _DOCUMENT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _VECTORS),
    (b"\x93NUMPY", "a NumPy array", _VECTORS),
    (b"ARROW1\x00\x00", "an Arrow file", _AS_PARQUET),
    (b"\xff\xff\xff\xff", "an Arrow stream", _AS_PARQUET),
    (b"SQLite format 3\x00", "an SQLite database", "Write the table as .csv."),
    (b"\x1f\x9d", "data of compress (.Z)", "Unpack it first."),
    (b"\x04\x22M\x18", "LZ4 data", "Unpack it first."),
    (b"LZIP", "lzip data", "Unpack it first."),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", ""),
    (b"GIF87a", "a GIF image", ""),
    (b"GIF89a", "a GIF image", ""),
    (b"OggS", "an Ogg file of sound or film", ""),
    (b"fLaC", "a FLAC sound file", ""),
    (b"ID3", "an MP3 sound file", ""),
    (b"\xff\xd8\xff", "a JPEG image", ""),
    (b"II*\x00", "a TIFF image", ""),
    (b"MM\x00*", "a TIFF image", ""),
    (b"\x7fELF", "a program", ""),
    (b"MZ\x90\x00", "a program", ""),
    *((b"BZh%d1AY&SY" % level, "bzip2 data", _UNPACK.format(".bz2")) for level in range(1, 10)),
    *((bytes([0x80, number]), "a pickle", _VECTORS) for number in range(2, 6)),
    (b"}q\x00", "a pickle", _VECTORS),
    (b"]q\x00", "a pickle", _VECTORS),
)
"""First bytes of files that are not UTF-8, what such a file is, and what to do."""

_BINARY_WITH_NUL: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF document", "Extract the text first."),
    (b"PAR1", "a Parquet file", "format='parquet' reads it with column=NAME."),
)
"""The same for first bytes with which a text may begin, too; a text has no NUL."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16LE, whose mark is the start of this one
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_WIDE_ENCODINGS = ("UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE")

# Control characters that text in any encoding lacks (ESC and ^Z do occur in text). From this share
# of them on, a file that is not UTF-8 is binary; random bytes have 8 %.
_CONTROL, _MIN_CONTROL_SHARE = bytes({*range(1, 9), *range(14, 26), 127}), 0.02

_READER = "format='{0}' reads it"
_ONLY_TEXT = "Training and evaluation read one sentence per line"
_NO_READER = "Extract the text first"
_COLUMN = " with column=NAME"
_NUMBERS = "Write the text in it to a text file"

# Building blocks of the patterns below. Patterns are matched at the start of the head, which may
# end in the middle of a line: hence \Z beside \n.
_COMMENTS = r"(#.*\n|[^\S\n]*\n)*"  # and blank lines
_CELLS = r"(\t[^\t\n]*)"  # a further column
_END = r"\r?(\n|\Z)"
_HEADERS = r"(;.*\n)*>\S.*\n(>\S.*\n)*"  # of FASTA, below comments
_JSON_STRING = r'"(\\.|[^"\\\n])*"'

_CONLLU = ("CoNLL-U", _READER.format("conllu"))
_CONLL = ("CoNLL", _READER.format("conll") + ", with column=N if the words are not in column 1")
_FASTA = ("FASTA", _READER.format("fasta"))

_OTHER_TEXT: tuple[tuple[str, str, str], ...] = (
    (r"%PDF-", "a PDF document", _NO_READER),
    (r"%!PS", "a PostScript document", _NO_READER),
    (r"\{\\rtf", "an RTF document", _NO_READER),
    (r"\s*<(\?xml|!doctype|html)\b", "XML or HTML", _NO_READER),
    (r"PAR1", "Parquet", _READER.format("parquet") + _COLUMN),
    # Protocol 0, which is ASCII.
    (r"\(?[ldt]p0\n|c[\w.]+\n\w+\np0\n", "a pickle", _NUMBERS),
    (r'\s*(\[\s*)?\{\s*"[^"\n]*"\s*:', "JSON", _READER.format("jsonl") + _COLUMN),
    (
        rf"\s*\[\s*(\[\s*)?{_JSON_STRING}\s*(,\s*[\"\d\[{{]|\]\s*(,|\]|\n|\Z))",
        "a JSON array",
        "Write its items as JSON lines: jq -c '.[] | {text: .}' FILE > NEW.jsonl",
    ),
    # The first word of CoNLL-U has ten columns; of other CoNLL formats at least four and a second
    # word, or fewer below a comment with sent_id or text.
    (rf"{_COMMENTS}(1(-\d+)?|0\.\d+)\t[^\t\n]+{_CELLS}{{8}}{_END}", *_CONLLU),
    (rf"{_COMMENTS}1(-\d+)?\t[^\t\n ]+{_CELLS}{{2,}}{_END}(\r?\n)*([12]\t|\Z)", *_CONLL),
    (rf"{_COMMENTS}#\s*(sent_id|text)\s*=.*\n(#.*\n)*1(-\d+)?\t[^\t\n ]+{_CELLS}*{_END}", *_CONLL),
    (r"-DOCSTART-\s", *_CONLL),
    # Comments may fill the head, so that no word is seen.
    (r"(#.*\n)*#\s*(sent_id|newdoc id|newpar id|global\.columns)\s*=", *_CONLLU),
    (
        r"(?=(?s:.){1000})(# .*\n|#\r?\n)+(# .*|#?)\Z",
        "a table below comments",
        "If it is CoNLL-U, format='conllu' reads it",
    ),
    # Soft-masked sequences mix upper and lower case; a capitalized word is not a sequence.
    (rf"\s*{_HEADERS}(?![A-Z][a-z]+[.-]*{_END})[A-Za-z*.-]+{_END}", *_FASTA),
    # With a space after ">" it may be a quotation in a mail, unless the next line is a sequence.
    (rf"\s*(;.*\n)*> +\S.*\n([A-Z*-]{{2,}}|[ACGTUNacgtun-]{{4,}}){_END}", *_FASTA),
    # A line of letters and a line with "+" below "@"; a long read fills the whole head.
    (
        r"@(\S.*?)\r?\n([A-Za-z.*-]+\r?\n\+(\1)?\r?\n|[A-Za-z.*-]{1000,}\Z)",
        "FASTQ",
        "Write it as FASTA: awk 'NR%4==1 {print \">\" substr($0, 2)} NR%4==2' FILE > NEW.fasta",
    ),
)
"""Patterns for the head of files in other text formats, what such a file is, and what to do."""


def head_of(file: IO[bytes]) -> bytes:
    """The first bytes of a file that was just opened. The file stays at its beginning."""
    peekable: Any = file
    return peekable.peek(HEAD_BYTES)[:HEAD_BYTES]


def check_is_text(head: bytes, name: str) -> None:
    """Raise ElmoError for a binary file, UTF-16 or UTF-32."""
    if encoding := other_encoding(head):
        raise ElmoError(how_to_convert(name, encoding))
    what, advice = binary_kind(head)
    if what:
        raise ElmoError(f"{name} is {what}, not text. {advice}".rstrip())
    if b"\0" in head:
        nul = head.index(0) + 1
        raise ElmoError(f"{name} is not text: byte {nul} is NUL. Expected UTF-8 text.")
    n_control = len(head) - len(head.translate(None, _CONTROL))
    if n_control and n_control >= _MIN_CONTROL_SHARE * len(head) and _decoded(head) is None:
        raise ElmoError(f"{name} is a binary file, not text. Expected UTF-8 text.")


def check_is_plain(head: bytes, name: str, instead: str, *, formats: bool = True) -> None:
    """Raise ElmoError for text that looks like FASTA, CoNLL-U, JSON, XML, a PDF file or the like.

    ``instead`` tells the user how to read the file as plain text after all; without ``formats``,
    the caller reads no others.
    """
    start = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    start = start.replace("\r\n", "\n").replace("\r", "\n")
    for pattern, what, advice in _OTHER_TEXT:
        if re.match(pattern, start, re.IGNORECASE if "XML" in what else 0):
            if not formats and "format=" in advice:
                advice = _ONLY_TEXT
            raise ElmoError(f"{name} looks like {what}, not like plain text. {advice}; {instead}.")


def binary_kind(head: bytes) -> tuple[str, str]:
    """What a binary file is, and what to do; two empty strings for an unknown kind."""
    for magic, what, advice in _BINARY:
        if head.startswith(magic):
            return what, advice
    if b"\0" in head:
        for magic, what, advice in _BINARY_WITH_NUL:
            if head.startswith(magic):
                return what, advice
    if head[257:262] == b"ustar":
        return "a tar archive", "Unpack it first."
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return "an image, sound or film", ""
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 32:
        return "a safetensors file", _VECTORS
    return "", ""


def other_encoding(head: bytes) -> str:
    """UTF-16 or UTF-32, with the byte order unless a mark tells it; "" for anything else."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head or binary_kind(head)[0]:
        return ""
    # In UTF-16, every second byte of ASCII is NUL; other text in UTF-16 is hardly ever valid UTF-8.
    if _decoded(head) is not None and 4 * head.count(0) < len(head):
        return ""
    # Of the encodings that fit, the one in which the text has the most ASCII.
    best, most_ascii = "", 0
    for encoding in _WIDE_ENCODINGS:
        text = _decoded(head, encoding) or ""
        n_ascii = sum(character < "\x7f" for character in text)
        if n_ascii > most_ascii and all(map(_is_text, set(text))):
            best, most_ascii = encoding, n_ascii
    return best


def _decoded(head: bytes, encoding: str = "utf-8") -> str | None:
    """The text of a head, which may end inside a character; None if it has another encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _is_text(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cn", "Co") or character in "\t\n\r\f"


def how_to_convert(name: str, encoding: str) -> str:
    """A message that says how to convert a file to UTF-8."""
    return (
        f"{name} is {encoding}, expected UTF-8. Convert it first: "
        f"iconv -f {encoding} -t UTF-8 FILE > NEW."
    )
