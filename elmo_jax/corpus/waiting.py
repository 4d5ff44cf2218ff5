"""The parts that are missing before shards can be merged: whose they are, and waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep

from ..errors import ElmoError, counted, number_problem
from ..progress import progress_bar
from .job import Job
from .parts import PartsFolder

_MAX_LISTED = 10
_SECONDS_BETWEEN_LOOKS = 1.0
# A shard that starts holds no lock until it has read the corpus once; one that has just ended may
# be followed by the next.
_LOOKS_WITHOUT_WORK = 30


def check_wait(wait: bool | float) -> None:
    """Raise ElmoError unless ``wait`` is a bool, or seconds."""
    problem = number_problem(wait, "wait", positive=True)
    if not isinstance(wait, bool) and problem:
        raise ElmoError(f"{problem}, or True.")


def wait_for_parts(
    sources: Callable[[], tuple[list[PartsFolder], Job | None]],
    limit: float | None,
    *,
    progress: bool,
    note: Callable[[str], object],
) -> None:
    """Return when all parts are there and no process holds the lock of a shard.

    ``sources`` looks for the folders of parts, which may not exist yet, and their job. For None as
    ``limit`` it waits while a shard's lock is held or parts arrive; else for that many seconds,
    which also serves where the locks of other hosts cannot be seen.

    Raises:
        ElmoError: if that is over. It says what is missing.
    """
    began, n_looks_without_work = monotonic(), 0
    watch = _Watch()
    with progress_bar(0, 0, progress, "waiting for shards") as bar:
        while True:
            n_tokens = watch.look(*sources())
            bar.total = watch.n_tokens
            bar.update(n_tokens)
            if watch.is_complete:
                return
            if watch.is_news:
                note(watch.news)
            n_looks_without_work = 0 if n_tokens or watch.running else n_looks_without_work + 1
            waited = monotonic() - began
            has_waited_enough = n_looks_without_work > _LOOKS_WITHOUT_WORK
            if limit is not None:
                has_waited_enough = waited >= limit
            if has_waited_enough:
                raise ElmoError(f"Waited {counted(round(waited), 'second')}. {watch.problem()}")
            sleep(_SECONDS_BETWEEN_LOOKS)


class _Watch:
    """What has been seen of the shards. A part that is there once is not looked for again."""

    def __init__(self) -> None:
        self.folders: list[PartsFolder] = []
        self.job: Job | None = None
        self.missing: set[int] = set()
        self.running: list[tuple[int, int]] = []
        self.n_tokens = 0
        self.news, self.is_news = "", False

    def look(self, folders: list[PartsFolder], job: Job | None) -> int:
        """Look at the folders; returns the tokens of the parts that have arrived."""
        if job is not None and self.job is None:
            self.missing, self.n_tokens = set(range(len(job.parts))), job.layout.tokens
        self.folders, self.job = folders, job
        arrived = {n for n in self.missing if job is not None and _has(folders, job, n)}
        self.missing -= arrived
        before, self.running = self.running, running_shards(folders)
        self.is_news = not self.news or self.running != before
        self.news = self._state()
        return 0 if job is None else job.count_tokens(arrived)

    @property
    def is_complete(self) -> bool:
        return self.job is not None and not self.missing and not self.running

    def problem(self) -> str:
        if self.job is None:
            return "No shard has begun: there is no folder of parts."
        return missing_message(self.folders, self.job, sorted(self.missing))

    def _state(self) -> str:
        if self.job is None:
            return "waiting for the first shard"
        n_parts = len(self.job.parts)
        at_work = _listed(f"{i}/{n}" for i, n in self.running) or "none is seen"
        there = f"{n_parts - len(self.missing):,} of {counted(n_parts, 'part')}"
        return f"waiting: {there} finished; shards at work: {at_work}"


def missing_parts(folders: Sequence[PartsFolder], job: Job) -> list[int]:
    """The numbers of the parts that no folder has."""
    return [number for number in range(len(job.parts)) if not _has(folders, job, number)]


def running_shards(folders: Iterable[PartsFolder]) -> list[tuple[int, int]]:
    """The shards whose locks are held, by processes of this host or of others with one's locks."""
    states = [state for folder in folders for state in folder.shards().items()]
    return sorted({shard for shard, is_running in states if is_running})


def missing_message(folders: Sequence[PartsFolder], job: Job, missing: Sequence[int]) -> str:
    """Which parts are missing, whose they are, who makes them, and what to do."""
    head = (
        f"{len(missing)} of {counted(len(job.parts), 'part')} "
        f"{'is' if len(missing) == 1 else 'are'} missing: {_listed(missing)}"
    )
    running = running_shards(folders)
    begun = [shard for folder in folders for shard in folder.shards()]
    counts = {n for _, n in running or begun}
    if len(counts) != 1:  # nothing says how many shards there are
        return (
            f"{head} (shard I/N makes the parts I-1, I-1+N, …). Run the commands of these shards "
            "again, or name the folders that hold their parts."
        )
    (n,) = counts
    unfinished = sorted({number % n + 1 for number in missing})
    shards = _listed(f"{i}/{n}" for i in unfinished)
    at_work = [i for i in unfinished if (i, n) in running]
    if not at_work:
        return (
            f"{head}. They are of shard {shards}, and no process is seen at work on these. Run "
            "their commands again, or name the folders that hold their parts."
        )
    others = " and run the commands of the others again" if len(at_work) < len(unfinished) else ""
    return (
        f"{head}. They are of shard {shards}; at work now: {_listed(f'{i}/{n}' for i in at_work)}. "
        f"Wait for these (wait=True){others}."
    )


def _has(folders: Iterable[PartsFolder], job: Job, number: int) -> bool:
    return any(folder.has(job, number) for folder in folders)


def _listed(items: Iterable[object]) -> str:
    shown = list(map(str, items))
    n_more = len(shown) - _MAX_LISTED
    return ", ".join(shown[:_MAX_LISTED]) + (f" and {n_more} more" if n_more > 0 else "")
