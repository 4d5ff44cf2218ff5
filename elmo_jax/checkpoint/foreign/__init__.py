"""Formats of other tools, each a module that recognises the files of a model and reads them."""
