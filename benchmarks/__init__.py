"""Measurements, run from a checkout: ``python -m benchmarks``. README.md says what is compared.

To read in this order: ``question`` (what every question shares), ``measure`` (timing in turns),
``texts`` and ``models`` (what is measured on), ``systems`` (the peers, checked for equality),
``limit`` and ``work`` (what a per cent is of), then one module for each question.
"""
