"""Formats of other tools, each a module that recognizes the files of a model and reads them."""
