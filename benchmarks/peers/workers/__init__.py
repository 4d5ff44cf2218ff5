"""One file an implementation, which ``worker.py`` imports by its path in a foreign environment."""
