"""Measurements, run from a checkout: one package or file for each question."""
