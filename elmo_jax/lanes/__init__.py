"""Sentences end to end in lanes: where each goes, and the devices that share the lanes."""
