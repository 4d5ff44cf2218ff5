"""embed_corpus: a corpus of any size to one file, in parts that survive a killed process."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..embedder import Elmo
from ..errors import counted
from ..files import check_space, refuse_input
from ..model.layers import Layers, check_pooling
from ..text.cut_words import CutWords
from ..text.readers import Record
from ..text.sentences import CheckedWords
from .job import EmbedOptions, Job
from .merging import (
    announce_output,
    check_target,
    explaining_disk_errors,
    join_parts,
    summary,
    write_output,
)
from .parts import PartsFolder
from .progress import progress_bar, with_progress
from .survey import PART_TOKENS, Survey, check_repeatable, iter_parts
from .writers import RecordVectors, writer_for


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

    The corpus is embedded in independent parts. Finished ones stay in the folder ``OUTPUT.parts``
    until they are joined at the end. If a run is interrupted, even killed, the same call resumes
    it, and the file gets the same bytes as from an uninterrupted run.

    Args:
        elmo: the model.
        records: the corpus, as ``elmo_jax.text.readers.Records.of`` opens it. It is read twice.
        output: the file. Its suffix decides the format: ``.h5`` or ``.hdf5`` for the format of
            ``allennlp elmo``, ``.parquet``, ``.npz``, ``.csv``, and for pooled sentences ``.npy``.
        layers: as in ``Elmo.stream``.
        pooling: as in ``Elmo.stream``.
        mix_weights: as in ``Elmo.stream``.
        mix_gamma: as in ``Elmo.stream``.
        dtype: as in ``Elmo.stream``.
        strict: refuse sentences without words.
        with_text: store the texts beside the vectors, in formats that have a place for them.
        shard: (i, n) makes only every n-th part, starting at the i-th, counted from 1. Other
            processes or machines make the other parts, and ``merge_parts`` joins them.
        part_tokens: the most tokens of a part.
        overwrite: replace an existing output.
        restart: first remove all parts of earlier runs; with ``shard``, only this shard's parts,
            unless the others are of another job.
        progress: show a bar on stderr, if that is a terminal.
        note: is called with remarks for the user.

    Returns:
        A summary, ready for JSON: ``output``, ``sentences``, ``tokens``, ``words_cut`` (longer
        than the model reads), ``blank_lines``, ``duplicate_keys`` (records with the key of an
        earlier record), ``layers``, ``pooling``, ``dtype``, ``dim``, ``parts``, ``parts_found``
        (finished by an earlier run), ``shard``, ``finished`` (whether the output is written),
        ``bytes`` (of the output, else of the parts), ``seconds``, ``tokens_per_second``.

    Raises:
        ElmoError: for an input, a model or an output that cannot be used. Finished parts stay.

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

    options = EmbedOptions(layers, pooling, mix_weights, mix_gamma, dtype)
    width = elmo.config.max_characters_per_token
    survey = Survey.from_records(records, part_tokens, width=width, strict=strict)
    job = Job.from_survey(elmo, survey, options, part_tokens, with_text)
    writer.check(job.layout)
    numbers = job.parts_of_shard(shard)
    survey.cut_words.warn()

    with folder.opened(job, shard, restart=restart), explaining_disk_errors(target, folder, job):
        # A process that was killed at the very end has left the folder, but nothing to do.
        is_finished = folder.has_finished(target)
        missing = [] if is_finished else [n for n in numbers if not folder.has(job, n)]
        is_direct = shard is None and len(job.parts) == 1
        began = time.perf_counter()
        if not is_finished:
            check_target(target, overwrite)  # again: another process may have written it meanwhile
            n_bytes = announce_output(target, job.layout, counted(job.layout.tokens, "token"), note)
            if not is_direct:
                note(f"{counted(len(job.parts), 'part')}; {len(missing):,} to be made here")
                n_bytes = job.bytes_of_parts(missing) + (n_bytes if shard is None else 0)
            check_space(target, n_bytes)
            n_tokens, n_missing = job.count_tokens(numbers), job.count_tokens(missing)
            with progress_bar(n_tokens, n_tokens - n_missing, progress) as bar:
                for number, part in iter_parts(records, job.parts, missing):
                    results = with_progress(_embed_part(elmo, part, options), bar)
                    if is_direct:
                        write_output(target, folder, job, results, overwrite=overwrite)
                    else:
                        folder.write(job, number, results)
            if shard is None and not is_direct:
                folders = [folder] * len(job.parts)
                join_parts(target, folder, job, folders, overwrite=overwrite, progress=progress)
        seconds = time.perf_counter() - began
        if shard is None:
            folder.remove()
    return {
        **summary(job, target),
        "duplicate_keys": survey.duplicate_keys,
        "shard": None if shard is None else f"{shard[0]}/{shard[1]}",
        "parts_found": len(numbers) - len(missing),
        "finished": shard is None,
        "bytes": target.stat().st_size if shard is None else folder.size(),
        "seconds": round(seconds, 3),
        "tokens_per_second": round(job.count_tokens(missing) / seconds, 1),
    }


def _embed_part(elmo: Elmo, records: Iterator[Record], options: EmbedOptions) -> RecordVectors:
    """The records with their vectors. To the last bit, they depend on these records only."""
    elmo.forget_words()  # else the last bits would depend on the parts before
    # The stream reads records ahead; tee keeps them until their vectors come.
    ahead, records = itertools.tee(records)
    # The survey has checked the words and counted those that are cut.
    words = (CheckedWords(record.words) for record in ahead)
    uncounted = CutWords(elmo.config.max_characters_per_token)
    results = elmo.stream(words, **vars(options), cut_words=uncounted)
    return ((record, vectors) for vectors, record in zip(results, records, strict=True))
