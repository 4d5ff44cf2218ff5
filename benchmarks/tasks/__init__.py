"""What a model's vectors are good for: the task table (``python -m benchmarks.tasks MODEL``).

All scores are in points, 0 to 100. Vectors are never fine-tuned: a linear probe, a cosine or a
nearest neighbour reads them as they are, so that a difference between two rows is one between
vectors.
"""
