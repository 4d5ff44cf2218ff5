"""Conversion scripts, run from a checkout: ``python -m convert`` (see ``--help``)."""
