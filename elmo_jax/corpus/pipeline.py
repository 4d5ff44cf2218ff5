"""embed_corpus: embed a corpus of any size into one file, in parts that survive a kill."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..embedder import Elmo
from ..errors import ElmoError, check_count, counted, noting_interrupts
from ..files import check_space, refuse_input
from ..model.config import SENTENCE_POOLINGS, dtype_name
from ..model.layers import Layers, check_pooling
from ..model.spelling import word_limit
from ..progress import progress_bar, with_progress
from ..text.cut_words import CutWords
from ..text.readers import Record
from ..text.tokenizers import CheckedWords
from .carrying import stream_with_state
from .job import EmbedOptions, Job, row_shape
from .lock import finished_note
from .merging import (
    announce_output,
    check_target,
    explaining_disk_errors,
    join_parts,
    merge_if_last,
    summary,
    write_output,
)
from .parts import PartsFolder
from .shards import own_shard
from .survey import PART_TOKENS, Survey, check_repeatable, iter_parts
from .writers import FileLayout, RecordVectors, SentenceKeyChecker, check_layout, writer_for


def embed_corpus(
    elmo: Elmo,
    records: Iterable[Record],
    output: str | os.PathLike[str],
    layers: Layers = "all",
    *,
    pooling: str | None = None,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    dtype: Any = "float32",
    carry_state: int | None = None,
    strict: bool = False,
    with_text: bool = True,
    sentence_keys: str | None = None,
    escape_keys: bool = False,
    shard: tuple[int, int] | str | None = None,
    merge: bool = False,
    part_tokens: int | None = PART_TOKENS,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool = False,
    note: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Embed a corpus into a file, in bounded memory.

    The corpus is embedded in independent parts. Finished parts stay in the folder ``OUTPUT.parts``
    until they are joined at the end. If a run is interrupted, even killed, the same call resumes
    it, and the file has the same bytes as after an uninterrupted run.

    Args:
        elmo: the model.
        records: the corpus, from ``elmo_jax.text.readers.Records.of``. It is read twice.
        output: the file. Its suffix decides the format: ``.h5`` or ``.hdf5`` for the format of
            ``allennlp elmo``, ``.parquet``, ``.npz``, ``.csv``, ``.tsv``; for pooled sentences also
            ``.npy``, and for the tokens of one layer ``.vec`` or ``.txt``, a word and its numbers
            per line.
        layers: as in ``Elmo.stream``.
        pooling: as in ``Elmo.stream``.
        mix_weights: as in ``Elmo.stream``.
        mix_gamma: as in ``Elmo.stream``.
        dtype: as in ``Elmo.stream``.
        carry_state: carry the LSTM state as bilm-tf did (1), or ``allennlp elmo`` (its
            ``--batch-size``): in batches of this many sentences, sentence i of a batch starts in
            the state after sentence i of the batch before. The corpus is then one part, whatever
            ``part_tokens`` is, so an interrupted run starts again from the first sentence. None
            reads every sentence from the same state.
        strict: refuse sentences without words.
        with_text: store the texts beside the vectors, if the format has a place for them.
        sentence_keys: "text" names HDF5 datasets after the text of their sentence, as
            ``allennlp elmo --use-sentence-keys`` did; "words", after its words with tabs between
            them. Every sentence must have words and differ from all others; all keys are held in
            memory. None names datasets by numbers.
        escape_keys: write ``/`` in sentence keys as ``$backslash$``, and ``.`` as ``$period$``, as
            the command of ELMoForManyLangs does; without it a sentence with ``/`` is refused.
        shard: (i, n) makes only every n-th part, starting with the i-th, counted from 1. Other
            processes or machines make the other parts, and ``merge_parts`` joins them. "auto"
            takes i and n from whatever started this process: ``jax.distributed``, SLURM, MPI,
            torchrun or a TPU; see ``this_process``.
        merge: with ``shard``, merge the parts if this shard is the last to finish. All shards must
            share the folder of parts.
        part_tokens: the largest number of tokens in a part; None for a single part.
        overwrite: replace an existing output.
        restart: first remove all parts of earlier runs; with ``shard``, only this shard's parts,
            unless the others belong to another job.
        progress: show a bar on stderr, if that is a terminal.
        note: called with notes for the user.

    Returns:
        A summary, ready for JSON: ``output``, ``sentences``, ``tokens``, ``words_cut`` (longer
        than the model reads), ``blank_lines``, ``duplicate_keys`` (records with the key of an
        earlier record), ``layers``, ``pooling``, ``dtype``, ``dim``, ``parts``, ``parts_found``
        (finished by an earlier run), ``shard``, ``merge``, ``finished`` (whether the output is
        written), ``bytes`` (of the output, or of the parts if it is not written),
        ``seconds``, ``tokens_per_second``.

    Raises:
        ElmoError: for an input, a model or an output that cannot be used. Finished parts stay.

    Warns:
        WordsCutWarning: before the work starts, if words are longer than the model reads.

    Example:
        >>> records = elmo_jax.text.readers.Records.of("corpus/*.txt.gz")
        >>> embed_corpus(elmo_jax.Elmo(), records, "corpus.npz", layers="top")["tokens"]
        1000000
    """
    target = Path(output)
    writer_for(target)  # raises for an unknown format
    folder = PartsFolder.beside(target)
    refuse_input(target, getattr(records, "files", ()))
    check_target(target, overwrite)
    shard = own_shard(shard)
    if merge and shard is None:
        raise ElmoError("merge=True is for shards: leave it out, or choose one with shard=.")
    if pooling is not None:
        check_pooling(pooling, SENTENCE_POOLINGS)
    dtype = dtype_name(dtype)
    check_repeatable(records)
    if carry_state is not None:
        _check_carrying(carry_state, shard, pooling)
        part_tokens = None
    if escape_keys and sentence_keys is None:
        raise ElmoError("escape_keys is for sentence_keys: choose some, or leave it out.")
    keys = None if sentence_keys is None else SentenceKeyChecker(sentence_keys, escape_keys)

    options = EmbedOptions(layers, pooling, mix_weights, mix_gamma, dtype)
    empty = FileLayout(
        shape=row_shape(elmo, options),
        pooled=pooling is not None,
        dtype=dtype,
        sentences=0,
        tokens=0,
        text_bytes=0,
        longest_key=0,
        with_text=with_text,
        sentence_keys=sentence_keys,
        escape_keys=escape_keys,
    )
    check_layout(target, empty)  # first: reading a corpus may take hours
    limit = word_limit(elmo.config)
    survey = Survey.from_records(
        records, part_tokens, limit=limit, strict=strict, sentence_keys=keys
    )
    job = Job.from_survey(
        elmo,
        survey,
        options,
        part_tokens,
        carry_state=carry_state,
        with_text=with_text,
        sentence_keys=sentence_keys,
        escape_keys=escape_keys,
    )
    check_layout(target, job.layout)
    n_rows = carry_state and min(carry_state, job.layout.sentences)
    numbers = job.parts_of_shard(shard)
    survey.cut_words.warn()

    with explaining_disk_errors(target, folder, job), contextlib.ExitStack() as stack:
        if restart and shard is not None:  # alone, before it works beside other shards
            with folder.locked():
                folder.restart(job, shard)
        lock = stack.enter_context(folder.locked(shared=shard is not None))
        # A process that was killed at the very end has left something to clean up, no more.
        done = finished_note(folder.lock_path, target)
        is_finished = shard is None and done is not None and done["job"] == job.name
        if restart and shard is None and not is_finished:
            folder.restart(job, shard)
        stack.enter_context(folder.opened(job, shard))
        remark = functools.partial(_what_stays, folder, job, numbers, restart)
        stack.enter_context(noting_interrupts(remark))
        missing = [] if is_finished else [n for n in numbers if not folder.has(job, n)]
        is_direct = shard is None and len(job.parts) == 1
        began = time.perf_counter()
        if not is_finished:
            # Again: another process may have written it meanwhile.
            check_target(target, overwrite, job.name)
            n_bytes = announce_output(target, job.layout, counted(job.layout.tokens, "token"), note)
            if not is_direct:
                note(f"{counted(len(job.parts), 'part')}; {len(missing):,} to be made here")
                n_bytes = job.bytes_of_parts(missing) + (n_bytes if shard is None else 0)
            if carry_state is not None:
                note("the state is carried through the corpus: if interrupted, it starts again")
            check_space(target, n_bytes)
            n_tokens, n_missing = job.count_tokens(numbers), job.count_tokens(missing)
            with progress_bar(n_tokens, n_tokens - n_missing, progress) as bar:
                for number, part in iter_parts(records, job.parts, missing):
                    embedded = _embed_part(elmo, part, options, n_rows)
                    results = with_progress(embedded, bar, lambda pair: len(pair[0].words))
                    if is_direct:
                        write_output(target, folder, lock, job, results, overwrite=overwrite)
                    else:
                        folder.write(job, number, results)
            if shard is None and not is_direct:
                folders = [folder] * len(job.parts)
                join_parts(
                    target, folder, lock, job, folders, overwrite=overwrite, progress=progress
                )
        seconds = time.perf_counter() - began
        n_bytes = target.stat().st_size if shard is None else folder.size()
        if shard is None:
            folder.remove()
    result = {
        **summary(job, target),
        "duplicate_keys": survey.duplicate_keys,
        "shard": None if shard is None else f"{shard[0]}/{shard[1]}",
        "merge": merge,
        "parts_found": len(numbers) - len(missing),
        "finished": shard is None,
        "bytes": n_bytes,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(job.count_tokens(missing) / seconds, 1),
    }
    if merge:
        merged = merge_if_last(target, overwrite=overwrite, progress=progress, note=note)
        if merged is not None:
            result |= {"finished": True, "bytes": merged["bytes"]}
    return result


def _what_stays(folder: PartsFolder, job: Job, numbers: Sequence[int], restart: bool) -> str:
    n_finished = sum(folder.has(job, number) for number in numbers)
    are = "is" if n_finished == 1 else "are"
    without = ", without restart=True," if restart else ""
    return (
        f"{n_finished:,} of {counted(len(numbers), 'part')} {are} finished, and the same call"
        f"{without} resumes it"
        if n_finished
        else ""
    )


def _check_carrying(carry_state: int, shard: tuple[int, int] | None, pooling: str | None) -> None:
    check_count(carry_state, "carry_state")
    if pooling == "sif":
        raise ElmoError(
            "pooling='sif' cannot be used with carry_state=: choose pooling='mean', or leave out "
            "carry_state=."
        )
    if shard is not None:
        raise ElmoError(
            "A state that is carried through the whole corpus cannot be carried in shards: each "
            "sentence needs all those before it. Leave out carry_state= or shard=."
        )


def _embed_part(
    elmo: Elmo, records: Iterator[Record], options: EmbedOptions, n_rows: int | None
) -> RecordVectors:
    """The records with their vectors. To the last bit, they depend on these records only."""
    elmo.forget_words()  # else the last bits would depend on the parts before
    # The stream reads records ahead; tee keeps them until their vectors come.
    ahead, records = itertools.tee(records)
    # The survey has checked the words and counted those that are cut.
    words = (CheckedWords(record.words) for record in ahead)
    uncounted = CutWords(word_limit(elmo.config))
    if n_rows is None:
        results = elmo.stream(words, **vars(options), cut_words=uncounted)
    else:
        results = stream_with_state(elmo, words, n_rows, options)
    return ((record, vectors) for vectors, record in zip(results, records, strict=True))
