"""The dictionaries of ELMoForManyLangs, word.dic and char.dic: a token and its number per line."""

from __future__ import annotations

from ...errors import ElmoError, counted

_STRIPPED_AWAY = "\u3000"
_MOST_DIGITS = 9
_MOST_LISTED = 3


def read_dictionary(content: bytes, source: str) -> tuple[str, ...]:
    """The tokens of a dictionary by number.

    Lines are stripped before they are divided at the tab, as in the original. That leaves nothing
    of a token that is whitespace; the original takes it for U+3000, the ideographic space. If a
    token occurs twice, its last number counts, and the row of the other one has the empty string,
    which is in no text.

    Raises:
        ElmoError: if the file is not UTF-8, if a line is anything else than a token and a number,
            or if the numbers are not those from 0 on, each of them once.
    """
    lines = _decoded(content, source).removesuffix("\n").split("\n") if content else []
    row_of: dict[str, int] = {}
    free, problems = set(range(len(lines))), []
    for number, line in enumerate(lines, start=1):
        token, row = _parsed(line)
        if row is None:
            problems.append(f"line {number:,} is {line!r:.60}, expected a token, a tab, a number")
        elif row not in free:
            problems.append(f"line {number:,} has the number {row:,}, {_fault(row, len(lines))}")
        else:
            free.remove(row)
            row_of[token] = row
    if problems:
        more = [f"and {len(problems) - _MOST_LISTED:,} more"] * (len(problems) > _MOST_LISTED)
        listed = "".join(f"\n  {problem}" for problem in [*problems[:_MOST_LISTED], *more])
        raise ElmoError(
            f"{source} is not a dictionary of ELMoForManyLangs, or is damaged "
            f"({counted(len(problems), 'problem')}):{listed}"
        )
    tokens = [""] * len(lines)
    for token, row in row_of.items():
        tokens[row] = token
    return tuple(tokens)


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ElmoError(
            f"{source} is not UTF-8: line {line:,} has the byte 0x{content[error.start]:02x}. "
            "Copy or download it again."
        ) from None


def _parsed(line: str) -> tuple[str, int | None]:
    """The token and number of a line; None for a line that has none."""
    fields = line.strip().split("\t")
    token, number = fields if len(fields) == 2 else (_STRIPPED_AWAY, fields[0])
    is_number = number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS
    return token, int(number) if is_number and len(fields) <= 2 else None


def _fault(row: int, n_lines: int) -> str:
    return "which an earlier line has" if row < n_lines else f"but there are {n_lines:,} lines"
