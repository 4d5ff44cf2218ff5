"""Processes that are threads of one process: what they tell each other passes through a list."""

import concurrent.futures
import dataclasses
import json
import threading

from elmo_jax.processes import Processes


class _Table:
    def __init__(self, count):
        self.values, self.barrier = [None] * count, threading.Barrier(count, timeout=60)

    def exchange(self, index, value):
        self.values[index] = value
        self.barrier.wait()
        values = list(self.values)
        self.barrier.wait()
        return values


@dataclasses.dataclass(frozen=True)
class ThreadProcesses(Processes):
    table: _Table

    def gather(self, value):
        return self.table.exchange(self.index, json.loads(json.dumps(value)))

    def arrays_of_first(self, tree):
        return self.table.exchange(self.index, tree)[0]


def in_each(count, function):
    """What ``function(processes)`` returns, or the error that it raises, in each process."""
    table = _Table(count)

    def outcome(index):
        try:
            return function(ThreadProcesses(count, index, table))
        except Exception as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(outcome, range(count)))
