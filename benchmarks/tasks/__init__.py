"""What a model's vectors are good for: the task table (``python -m benchmarks tasks MODEL``).

All scores are in points, 0 to 100. The vectors stay as they are: a linear probe, a cosine or a
nearest neighbor uses them, so that a difference between two rows is one between vectors.
"""
