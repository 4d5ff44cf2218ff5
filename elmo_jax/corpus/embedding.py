"""embed_corpus: a corpus of any size to one file, which a killed run does not spoil."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..embedder import Elmo
from ..errors import counted
from ..files import check_space, refuse_input, shown_size
from ..model.layers import Layers, check_pooling
from ..text.cut_words import CutWords
from ..text.readers import Record
from ..text.sentences import CheckedWords
from .finishing import check_target, finish, join, kept, summary
from .job import Choice, Job
from .parts_folder import PartsFolder
from .progress import advancing, progress_bar
from .survey import PART_TOKENS, check_repeatable, chosen_parts, survey
from .writers import Results, writer_for


def embed_corpus(
    elmo: Elmo,
    records: Iterable[Record],
    output: str | os.PathLike[str],
    layers: Layers = "all",
    *,
    pooling: str | None = None,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    dtype: str = "float32",
    strict: bool = False,
    with_text: bool = True,
    shard: tuple[int, int] | None = None,
    part_tokens: int = PART_TOKENS,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool = False,
    note: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Embed a corpus into a file, in bounded memory.

    The corpus is cut into parts, where its tokens alone decide. Each part is embedded by a run of
    its own, and kept in the folder ``OUTPUT.parts`` once it is finished; at the end the parts are
    put together, and the folder goes. So a run that was broken off, even killed, goes on where it
    was when the same call is made again, and the file has the same bytes as after an unbroken run.
    A corpus of one part is written at once.

    Args:
        elmo: the model.
        records: the corpus, as ``elmo_jax.text.readers.Records.of`` opens it; it is read twice.
        output: the file. Its suffix tells the format: ``.h5`` or ``.hdf5`` as ``allennlp elmo``
            wrote it, ``.parquet``, ``.npz``, and for pooled sentences ``.npy``.
        layers: as in ``Elmo.stream``.
        pooling: as in ``Elmo.stream``.
        mix_weights: as in ``Elmo.stream``.
        mix_gamma: as in ``Elmo.stream``.
        dtype: as in ``Elmo.stream``.
        strict: refuse sentences without words.
        with_text: keep the texts beside the vectors, where the format has a place for them.
        shard: (i, n) to make only every n-th part from the i-th on, counted from 1. Other
            processes or machines make the others, and ``merge_parts`` joins them.
        part_tokens: most tokens of a part.
        overwrite: replace an existing output.
        restart: drop what an earlier run left: all of it, or, where ``shard`` is given and the job
            is the same, the parts of this shard.
        progress: show a bar on stderr, if that is a terminal.
        note: gets remarks for the user.

    Returns:
        The counts, sizes and times of this run, ready for JSON: ``output``, ``sentences``,
        ``tokens``, ``words_cut`` (longer than the model reads), ``blank_lines``,
        ``duplicate_keys`` (records with a key that an earlier one has), ``layers``, ``pooling``,
        ``dtype``, ``dim``, ``parts``, ``parts_found`` (finished before), ``shard``, ``finished``
        (whether the output is there), ``bytes`` (of the output; of the parts if it is not),
        ``seconds``, ``tokens_per_second``.

    Raises:
        ElmoError: for an input, a model or an output that cannot be used. What is finished stays.

    Warns:
        WordsCutWarning: before the work, if words are longer than the model reads.

    Example:
        >>> records = elmo_jax.text.readers.Records.of("corpus/*.txt.gz")
        >>> embed_corpus(elmo_jax.Elmo(), records, "corpus.npz", layers="top")["tokens"]
        1000000
    """
    target = Path(output)
    writer, folder = writer_for(target), PartsFolder.beside(target)
    refuse_input(target, getattr(records, "files", ()))
    check_target(target, overwrite)
    if pooling is not None:
        check_pooling(pooling)
    check_repeatable(records)
    choice = Choice(layers, pooling, mix_weights, mix_gamma, dtype)
    width = elmo.config.max_characters_per_token
    found = survey(records, part_tokens, width=width, strict=strict)
    job = Job.of(elmo, found, choice, part_tokens, with_text)
    writer.check(job.layout)
    chosen = job.shard(shard)
    found.cut.warn()
    with folder.opened(job, shard, restart=restart), kept(target, folder, job):
        is_done = folder.has_finished(target)
        missing = [number for number in chosen if not (is_done or folder.has(job, number))]
        began = time.perf_counter()
        if not is_done:
            check_target(target, overwrite)
            at_once = shard is None and len(job.parts) == 1
            _announce(target, job, missing, whole=shard is None, at_once=at_once, note=note)
            done = sum(job.parts[number].tokens for number in {*chosen} - {*missing})
            total = sum(job.parts[number].tokens for number in chosen)
            with progress_bar(total, done, progress) as bar:
                for number, part in chosen_parts(records, job.parts, missing):
                    results = advancing(_embedded(elmo, part, choice), bar)
                    if at_once:
                        finish(target, folder, job, results, overwrite)
                    else:
                        folder.write(job, number, results)
            if shard is None and not at_once:
                folders = [folder] * len(job.parts)
                join(target, folder, job, folders, overwrite=overwrite, progress=progress)
        seconds = time.perf_counter() - began
        if shard is None:
            folder.remove()
    tokens = sum(job.parts[number].tokens for number in missing)
    return {
        **summary(job, target),
        "duplicate_keys": found.duplicate_keys,
        "shard": None if shard is None else f"{shard[0]}/{shard[1]}",
        "parts_found": len(chosen) - len(missing),
        "finished": shard is None,
        "bytes": target.stat().st_size if shard is None else folder.size(),
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 1),
    }


def _embedded(elmo: Elmo, records: Iterator[Record], choice: Choice) -> Results:
    """The records with their vectors, which depend on these records alone, to the last bit."""
    # They are read a window ahead of their results.
    waiting: collections.deque[Record] = collections.deque()

    def sentences() -> Iterator[Sequence[str]]:
        for record in records:
            waiting.append(record)
            yield CheckedWords(record.words)  # by the survey

    elmo.forget_words()
    for vectors in elmo.stream(
        sentences(),
        choice.layers,
        pooling=choice.pooling,
        mix_weights=choice.mix_weights,
        mix_gamma=choice.mix_gamma,
        dtype=choice.dtype,
        cut_words=CutWords(elmo.config.max_characters_per_token),  # the survey has counted them
    ):
        yield waiting.popleft(), vectors


def _announce(
    target: Path,
    job: Job,
    missing: Sequence[int],
    *,
    whole: bool,
    at_once: bool,
    note: Callable[[str], object],
) -> None:
    """Say what is about to be done, and see that there is room for it."""
    layout, writer = job.layout, writer_for(target)
    needed = writer.estimated_bytes(layout)
    note(f"{counted(layout.tokens, 'token')}; {target} will take about {shown_size(needed)}")
    for remark in writer.notes(layout):
        note(f"note: {remark}")
    if not at_once:
        note(f"{counted(len(job.parts), 'part')}; {len(missing):,} to be made here")
        rows = "sentences" if layout.pooled else "tokens"
        of_parts = sum(getattr(job.parts[n], rows) for n in missing) * layout.row_bytes
        needed = of_parts + (needed if whole else 0)
    check_space(target, needed)
