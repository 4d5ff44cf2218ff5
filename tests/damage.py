"""Damaging files as disks, broken copies and killed writers do."""

import random

BLOCK = 512
"""Bytes that a disk loses at a time."""


def flipped(content, position, bit=0):
    """The content with one bit changed."""
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def damaged(content, n, seed=0):
    """``n`` damaged copies, each with what was done to it: ``("bit 3 of byte 17", content)``.

    Most have one flipped bit, which is the hardest to notice; the others are cut off, have a block
    of zeros or foreign bytes, lost or doubled bytes, or something behind their end.
    """
    chance = random.Random(seed)
    for _ in range(n):
        position = chance.randrange(len(content))
        kind = chance.choice(("bit",) * 6 + ("cut", "zeros", "noise", "lost", "doubled", "longer"))
        before, after = content[:position], content[position + BLOCK :]
        length = len(content) - len(before) - len(after)
        if kind == "bit":
            bit = chance.randrange(8)
            yield f"bit {bit} of byte {position}", flipped(content, position, bit)
            continue
        changed = {
            "cut": before,
            "zeros": before + bytes(length) + after,
            "noise": before + chance.randbytes(length) + after,
            "lost": before + after,
            "doubled": content[: position + BLOCK] + content[position:],
            "longer": content + chance.randbytes(position % BLOCK + 1),
        }[kind]
        if changed != content:
            yield f"{kind} at byte {position}", changed
