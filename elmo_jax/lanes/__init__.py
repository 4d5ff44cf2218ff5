"""Packed text: sentences end to end in lanes, each distinct word once, lanes shared by devices."""
