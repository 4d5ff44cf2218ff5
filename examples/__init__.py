"""Programs to copy from; each runs from a checkout, and in the tests."""
