"""Train a biLM on a Ray cluster, with several workers.

    python -m examples.train_ray /shared/run '/shared/corpus/*.txt' --workers 8 --gpus 1

The run's folder and the text must be on a disk that all hosts share. Run the same command again to
resume a run that was interrupted.
"""

import argparse
import json

from elmo_jax import ElmoConfig
from elmo_jax.ray import train_on_ray
from elmo_jax.training import TrainingSettings


def main(arguments=None):
    """Train with the settings of the command line, and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", help="the folder of the run")
    parser.add_argument("files", nargs="+", help="files or patterns: one sentence per line")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs per worker (default: 0)")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--batch-size", type=int, default=128, help="rows of all workers together")
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args(arguments)
    summary = train_on_ray(
        args.output,
        args.files,
        num_workers=args.workers,
        resources_per_worker={"CPU": 1, "GPU": args.gpus} if args.gpus else {"CPU": 1},
        config=ElmoConfig.preset(args.preset),
        settings=TrainingSettings(batch_size=args.batch_size, n_steps=args.steps),
    )
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
