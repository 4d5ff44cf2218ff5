"""embed_corpus and merge_parts: the same bytes, however the work is cut up and interrupted."""

import dataclasses
import json
import os
import resource
import shutil
import signal

import h5py
import numpy as np
import pytest
from fake_elmo import FakeElmo, sentences

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.corpus import embed_corpus, merge_parts
from elmo_jax.corpus.parts import PartsFolder
from elmo_jax.corpus.survey import Survey, iter_parts
from elmo_jax.corpus.writers import WRITERS
from elmo_jax.errors import DuplicateKeysWarning, WhitespaceWarning
from elmo_jax.text.cut_words import WordLimit
from elmo_jax.text.readers import Record, Records

RECORDS = list(sentences(40))
TOKENS = sum(len(record.words) for record in RECORDS)
OPTIONS = {
    ".h5": {},
    ".parquet": {"layers": "top"},
    ".npz": {},
    ".npy": {"pooling": "mean"},
    ".tsv": {},
    ".vec": {"layers": "top"},
}


def embed(out, records=RECORDS, part_tokens=12, elmo=None, **options):
    return embed_corpus(elmo or FakeElmo(), records, out, part_tokens=part_tokens, **options)


def whole(tmp_path, suffix=".h5", **options):
    """The bytes of an uninterrupted run."""
    out = tmp_path / f"whole{suffix}"
    embed(out, overwrite=True, **options)
    return out.read_bytes()


def broken(records, n):
    """Records that cannot be read beyond the n-th on their second pass."""

    class Broken(list):
        passes = 0

        def __iter__(self):
            self.passes += 1
            for i, record in enumerate(list.__iter__(self)):
                if self.passes == 2 and i == n:
                    raise OSError(28, "No space left on device")
                yield record

    return Broken(records)


# What needs no look at the corpus

WRONG_CHOICES = [
    ({"layers": 7}, ".npz", "expected a number from 0 .the token layer. to 2"),
    ({"layers": "topp"}, ".npz", "Unknown layers='topp'"),
    ({"layers": "mix"}, ".npz", "has no scalar mix of its own"),
    ({"layers": "mix", "mix_weights": [1.0, 2.0]}, ".npz", "one weight for each layer"),
    ({"layers": "mix", "mix_weights": [0, 0, 0], "mix_gamma": np.inf}, ".npz", "mix_gamma"),
    ({"mix_weights": [0, 0, 0]}, ".npz", "belong to layers='mix'"),
    ({"layers": "all"}, ".vec", "one vector per token, not 3 layers"),
    ({}, ".npy", "with one vector per sentence"),
    ({"sentence_keys": "text"}, ".npz", "cannot have sentences as keys"),
]


@pytest.mark.parametrize(("options", "suffix", "problem"), WRONG_CHOICES)
def test_wrong_choices_are_refused_before_the_corpus_is_read(tmp_path, options, suffix, problem):
    corpus = broken(RECORDS, len(RECORDS))
    with pytest.raises(ElmoError, match=problem):
        embed(tmp_path / f"out{suffix}", corpus, **options)
    assert corpus.passes == 0 and list(tmp_path.iterdir()) == []
    embed(tmp_path / "right.npz", corpus)
    assert corpus.passes == 2, "this corpus counts"


# Cutting


def survey_parts(records):
    return Survey.from_records(records, 12, limit=WordLimit(48)).parts


def test_parts_are_cut_by_tokens_and_blank_sentences_count():
    parts = survey_parts(RECORDS)
    columns = zip(*[part[:2] for part in parts], strict=True)
    assert [sum(column) for column in columns] == [len(RECORDS), TOKENS]
    assert len(parts) > 5 and max(part.tokens for part in parts) <= 12
    assert [part.sentences for part in survey_parts([Record([], "")] * 30)] == [12, 12, 6]
    long = [Record(["a"] * n, "") for n in (3, 50, 3)]
    assert [part.tokens for part in survey_parts(long)] == [3, 50, 3]


def test_parts_of_the_second_pass_are_those_of_the_survey():
    parts = survey_parts(RECORDS)
    every = {n: list(part) for n, part in iter_parts(RECORDS, parts, range(len(parts)))}
    assert [record for part in every.values() for record in part] == RECORDS
    some = [(n, list(part)) for n, part in iter_parts(RECORDS, parts, [1, 2, 5])]
    assert some == [(n, every[n]) for n in (1, 2, 5)]


def test_an_input_that_changes_meanwhile_is_refused():
    parts = survey_parts(RECORDS)
    for changed in (RECORDS[:-1], [*RECORDS[:-1], RECORDS[0]]):
        with pytest.raises(ElmoError, match="has changed"):
            for _, part in iter_parts(changed, parts, range(len(parts))):
                list(part)


def test_refused_blank_lines_are_listed():
    blank = [Record([], "", None, "a.txt", n) for n in range(1, 16)]
    with pytest.raises(ElmoError, match=r"a\.txt has blank lines: 1, 2, .* and 5 more"):
        Survey.from_records(blank, limit=WordLimit(48), strict=True)


def test_records_that_share_a_key_are_warned_of_once_and_counted(tmp_path):
    keys = ["a", "b", "a", None, "", "b", "", "text", "text"]
    records = [Record(["w"], "text", key, "f.fa", n) for n, key in enumerate(keys, start=1)]
    problem = (
        r"^Records with the key of an earlier record: 2, the first of them 'a' \(f\.fa, line 3\)"
    )
    with pytest.warns(DuplicateKeysWarning, match=problem) as warned:
        assert embed(tmp_path / "a.npz", records)["duplicate_keys"] == 2
    assert len(warned) == 1
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["keys"].tolist() == [key or "" for key in keys]
    assert Survey.from_records(RECORDS, limit=WordLimit(48)).duplicate_keys == 0


def test_a_word_with_a_space_is_warned_of_once_per_corpus(tmp_path):
    records = [Record(["New York"], "New York", None, "f", n) for n in range(1, 40)]
    with pytest.warns(WhitespaceWarning, match="'New York' of f, line 1 ") as warned:
        embed_corpus(FakeElmo(), records, tmp_path / "a.npz", part_tokens=10)
    assert len(warned) == 1


def test_an_output_that_is_an_input_is_refused(tmp_path):
    text = tmp_path / "a.npz"
    text.write_text("a b\n")
    (tmp_path / "b.npz").symlink_to(text)
    (tmp_path / "c.npz").hardlink_to(text)
    for out in ("a.npz", "b.npz", "c.npz"):
        with pytest.raises(ElmoError, match=r"it is the input .*a\.npz, which would be lost"):
            embed(tmp_path / out, Records.of(text), overwrite=True)
    assert text.read_text() == "a b\n"
    embed(tmp_path / "e.npz", shard=(1, 1))
    with pytest.raises(ElmoError, match="lie among the parts"):
        merge_parts(tmp_path / "e.npz", tmp_path / "e.npz.parts" / "out.npz", overwrite=True)


def test_bad_corpora_are_refused(tmp_path):
    for records, problem in [
        ([], "is empty"),
        (iter(RECORDS), "more than once, got list_iterator"),
        (["a text"], "Expected records, got str"),
        ({"text": ["a b"]}, "Expected records, got str"),
        ([Record(["a", 1], "", None, "f", 7)], "f, line 7"),
        ([Record(["a"], "a", "k\0", "f", 7)], "f, line 7: the key .* NUL"),
    ]:
        with pytest.raises(ElmoError, match=problem):
            embed(tmp_path / "out.h5", records)
    with pytest.raises(ElmoError, match="part_tokens is 0, expected"):
        embed(tmp_path / "out.h5", part_tokens=0)
    assert list(tmp_path.iterdir()) == []


# Equal bytes


@pytest.mark.parametrize(("suffix", "options"), OPTIONS.items())
def test_an_interrupted_run_resumes_and_gives_the_same_bytes(tmp_path, suffix, options):
    expected = whole(tmp_path, suffix, **options)
    out = tmp_path / f"out{suffix}"
    n_finished = []
    for n in (5, 20, 39):
        with pytest.raises(ElmoError, match="No space left"):
            embed(out, broken(RECORDS, n), **options)
        assert not out.exists()
        n_finished.append(len(list(tmp_path.glob("out*.parts/part-*.zip"))))
    assert n_finished == sorted(set(n_finished)), (
        "each run resumed where the one before was interrupted"
    )
    elmo = FakeElmo()
    summary = embed(out, elmo=elmo, **options)
    assert out.read_bytes() == expected
    assert summary["parts_found"] == n_finished[-1] and summary["finished"]
    assert elmo.streams == summary["parts"] - n_finished[-1], "finished parts are not made again"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"whole{suffix}"]


@pytest.mark.parametrize(("suffix", "options"), OPTIONS.items())
def test_shards_are_merged_to_the_bytes_of_one_run(tmp_path, suffix, options):
    expected = whole(tmp_path, suffix, **options)
    folders = []
    for i in (3, 1, 2):
        machine = tmp_path / f"machine{i}"
        machine.mkdir()
        summary = embed(machine / f"out{suffix}", shard=(i, 3), **options)
        assert (summary["shard"], summary["finished"]) == (f"{i}/3", False)
        assert not (machine / f"out{suffix}").exists()
        folders.append(machine / f"out{suffix}.parts")
    out = tmp_path / f"merged{suffix}"
    summary = merge_parts(folders, out)
    assert out.read_bytes() == expected
    assert (summary["sentences"], summary["bytes"]) == (40, len(expected))
    assert all(folder.is_dir() for folder in folders) and not out.with_suffix(".parts").exists()


def test_shards_in_one_folder_are_merged_by_the_outputs_name(tmp_path):
    expected, out = whole(tmp_path), tmp_path / "out.h5"
    for i in (1, 2):
        embed(out, shard=(i, 2))
    merge_parts(out)
    assert out.read_bytes() == expected
    assert not (tmp_path / "out.h5.parts").exists()


def test_the_command_without_shard_makes_the_parts_that_are_missing(tmp_path):
    expected, out = whole(tmp_path), tmp_path / "out.h5"
    embed(out, shard=(2, 3))
    assert embed(out)["parts_found"] > 0
    assert out.read_bytes() == expected


def test_more_shards_than_parts_leave_some_empty(tmp_path):
    expected, out = whole(tmp_path, part_tokens=10**6), tmp_path / "out.h5"
    for i in (1, 2, 3):
        summary = embed(out, part_tokens=10**6, shard=(i, 3))
        assert (summary["bytes"] > 0) and summary["parts"] == 1
    merge_parts(out)
    assert out.read_bytes() == expected


def test_the_format_is_chosen_when_shards_are_merged(tmp_path):
    expected = whole(tmp_path, ".npz")
    embed(tmp_path / "out.h5", shard=(1, 1))
    merge_parts(tmp_path / "out.h5", tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_bytes() == expected


def test_a_single_part_is_written_directly_with_the_same_bytes(tmp_path):
    out = tmp_path / "out.h5"
    embed(out, part_tokens=10**6)
    embed(tmp_path / "out2.h5", part_tokens=10**6, shard=(1, 1))
    merge_parts(tmp_path / "out2.h5")
    assert out.read_bytes() == (tmp_path / "out2.h5").read_bytes()


def test_a_real_model_gives_the_same_bits_wherever_it_was_interrupted(tmp_path, make_model):
    """Also whatever it has embedded before: each part starts with an empty word table."""
    elmo = elmo_jax.Elmo(make_model(3)[0])
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{record.text}\n" for record in RECORDS), "utf-8")
    records = Records.of(text)
    embed(tmp_path / "whole.h5", records, elmo=elmo)
    with pytest.raises(ElmoError, match="No space left"):
        embed(tmp_path / "out.h5", broken(list(records), 20), elmo=elmo)
    elmo.embed([["w3", "w5"], ["w21"] * 9])
    embed(tmp_path / "out.h5", records, elmo=elmo)
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    with h5py.File(tmp_path / "out.h5", "r") as file:
        for i, vectors in enumerate(elmo.embed([record.words for record in records])):
            np.testing.assert_allclose(file[str(i)][()], vectors, atol=1e-5)


def test_a_warm_model_would_not_give_the_same(tmp_path, monkeypatch):
    """The fake's numbers show what was computed before them, so the tests above can fail."""
    expected = whole(tmp_path)
    monkeypatch.setattr(FakeElmo, "forget_words", lambda self: None)
    assert whole(tmp_path) != expected


# Sentences as keys

DISTINCT = [record for record in RECORDS if record.words]
SLASH = Record(["a", "/", "b"], "a / b", None, "f", 7)


def keys_of(path):
    with h5py.File(path, "r") as file:
        return sorted(file)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"sentence_keys": "text"}, lambda record: record.text),
        (
            {"sentence_keys": "words", "escape_keys": True},
            lambda record: "\t".join(record.words).replace("/", "$backslash$"),
        ),
    ],
)
def test_shards_with_sentence_keys_are_merged_to_the_bytes_of_one_run(tmp_path, options, key):
    records = [r for r in DISTINCT if options.get("escape_keys") or "/" not in r.words]
    embed(tmp_path / "whole.h5", records, **options)
    assert keys_of(tmp_path / "whole.h5") == sorted(map(key, records))
    out = tmp_path / "out.h5"
    for i in (2, 1):
        embed(out, records, shard=(i, 2), **options)
    with pytest.raises(ElmoError, match=r"cannot have sentences as keys: only \.h5"):
        merge_parts(out, tmp_path / "out.npz")
    merge_parts(out)
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    embed(tmp_path / "numbers.h5", records)
    with h5py.File(out) as named, h5py.File(tmp_path / "numbers.h5") as numbered:
        for i, record in enumerate(records):
            np.testing.assert_array_equal(named[key(record)], numbered[str(i)])


@pytest.mark.parametrize(
    ("record", "options", "problem"),
    [
        (SLASH, {}, r"f, line 7: the key is 'a / b', and in HDF5 a slash ends .*escape_keys=True"),
        (SLASH._replace(text="."), {}, r"the key is '\.', and in HDF5 this is the name of a group"),
        (SLASH._replace(words=[], text=""), {}, "line 7: a sentence without words has no key"),
        (SLASH._replace(text="a\0b"), {}, "line 7: the key 'a.*' has a NUL character"),
        (SLASH._replace(words=["\ud800"]), {"sentence_keys": "words"}, "lone surrogate"),
        (
            Record(["x"], "w1", None, "g", 3),
            {},
            "g, line 3: the key 'w1' is also that of corpus",
        ),
        (SLASH, {"sentence_keys": "both"}, "Unknown sentence_keys='both': expected 'text' or"),
        (SLASH, {"sentence_keys": None, "escape_keys": True}, "escape_keys is for sentence_keys"),
    ],
)
def test_a_sentence_that_is_no_key_is_refused_before_the_work(tmp_path, record, options, problem):
    options = {"sentence_keys": "text", **options}
    first, elmo = Record(["w1"], "w1", None, "corpus", 2), FakeElmo()
    with pytest.raises(ElmoError, match=problem):
        embed(tmp_path / "out.h5", [first, record], elmo=elmo, **options)
    assert elmo.streams == 0 and list(tmp_path.iterdir()) == []


def test_only_hdf5_has_sentences_as_keys(tmp_path):
    with pytest.raises(ElmoError, match=r"out\.npz cannot have sentences as keys"):
        embed(tmp_path / "out.npz", DISTINCT, sentence_keys="text", escape_keys=True)


# Other jobs


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layers": "top"}, "layers top instead of all|layers all instead of top"),
        ({"pooling": "max"}, "pooling"),
        ({"part_tokens": 13}, "part_tokens"),
        ({"records": RECORDS[1:]}, "another text"),
        ({"with_text": False}, "sentences"),
        ({"records": DISTINCT, "sentence_keys": "words", "escape_keys": True}, "sentence_keys"),
    ],
)
def test_the_parts_of_another_job_are_refused_and_kept(tmp_path, change, problem):
    out, folder = tmp_path / "out.h5", tmp_path / "out.h5.parts"
    embed(out, shard=(1, 2))
    before = {path: path.read_bytes() for path in folder.glob("part-*")}
    with pytest.raises(ElmoError, match=f"(?s)parts of another job.*({problem}).*restart=True"):
        embed(out, **change)
    assert {path: path.read_bytes() for path in folder.glob("part-*")} == before
    assert embed(out, restart=True, **change)["parts_found"] == 0
    assert out.exists() and not folder.exists()


def test_a_shard_that_restarts_leaves_the_other_shards_alone(tmp_path):
    out = tmp_path / "out.h5"
    n_parts = embed(out, shard=(1, 2))["parts"]
    embed(out, shard=(2, 2))
    assert embed(out, shard=(2, 2), restart=True)["parts_found"] == 0
    assert len(list((tmp_path / "out.h5.parts").glob("part-*"))) == n_parts
    assert embed(out, shard=(1, 2))["parts_found"] == -(-n_parts // 2)


def test_another_model_is_another_job(tmp_path):
    embed(tmp_path / "out.h5", shard=(1, 2))
    other = FakeElmo()
    other.params = {"weights": np.arange(3.0) + 1}
    with pytest.raises(ElmoError, match="another model"):
        embed(tmp_path / "out.h5", elmo=other)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "out.h5.parts").mkdir()
    precious = tmp_path / "out.h5.parts" / "thesis.txt"
    precious.write_text("precious")
    for restart in (False, True):
        with pytest.raises(ElmoError, match=r"holds thesis\.txt"):
            embed(tmp_path / "out.h5", restart=restart)
    assert precious.read_text() == "precious"


def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path):
    embed(tmp_path / "out.h5", shard=(1, 2))
    manifest = tmp_path / "out.h5.parts" / "manifest.json"
    for content in ("{", "{}", json.dumps({**json.loads(manifest.read_text()), "version": 99})):
        manifest.write_text(content)
        with pytest.raises(ElmoError, match=r"Cannot read .*manifest\.json.*restart=True"):
            embed(tmp_path / "out.h5")
    embed(tmp_path / "out.h5", restart=True)


@pytest.mark.skipif(os.name == "nt", reason="no locks there")
def test_two_processes_do_not_work_on_one_output(tmp_path):
    out, refused = tmp_path / "out.h5", []

    class Second(FakeElmo):
        def stream(self, *args, **kwargs):
            for shard in (None, (1, 2), (2, 2)):
                try:
                    embed(out, shard=shard)
                except ElmoError as error:
                    refused.append((shard, "Another process" in str(error)))
            yield from super().stream(*args, **kwargs)

    embed(out, part_tokens=10**6, elmo=Second())
    assert refused == [(None, True), ((1, 2), True), ((2, 2), True)]
    refused.clear()
    embed(tmp_path / "other.h5")
    out.unlink()
    embed(out, shard=(1, 2), elmo=Second(), part_tokens=10**6)
    assert {shard for shard, _ in refused} >= {None, (1, 2)}


# Merging what does not fit


def test_merging_names_missing_foreign_and_damaged_parts(tmp_path):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 3))
    embed(out, shard=(3, 3))
    with pytest.raises(ElmoError, match=r"parts are missing: 1, 4, 7"):
        merge_parts(out)
    embed(out, shard=(2, 3))
    embed(tmp_path / "other.h5", shard=(1, 1), layers="top")
    with pytest.raises(ElmoError, match=r"other.h5.parts does not belong to .*: layers top"):
        merge_parts([out, tmp_path / "other.h5"], tmp_path / "both.h5")
    part = tmp_path / "out.h5.parts" / "part-000004.zip"
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 1
    part.write_bytes(content)
    with pytest.raises(ElmoError, match=r"part-000004\.zip is damaged"):
        merge_parts(out)
    assert not out.exists() and len(list((tmp_path / "out.h5.parts").glob("part-*"))) > 5


def test_merging_needs_parts_and_a_name(tmp_path):
    with pytest.raises(ElmoError, match="There are no parts at"):
        merge_parts(tmp_path / "out.h5")
    with pytest.raises(ElmoError, match="2 sources and no output"):
        merge_parts([tmp_path / "a.h5", tmp_path / "b.h5"])


@pytest.mark.parametrize("end", [0, 100, -1])
def test_a_part_that_is_cut_short_is_made_again(tmp_path, end):
    expected, out = whole(tmp_path), tmp_path / "out.h5"
    embed(out, shard=(1, 1))
    part = tmp_path / "out.h5.parts" / "part-000002.zip"
    part.write_bytes(part.read_bytes()[:end])
    embed(out)
    assert out.read_bytes() == expected


# Outputs that cannot be written


def test_an_existing_output_is_refused_before_any_work_and_replaced_on_request(tmp_path):
    out, elmo = tmp_path / "out.h5", FakeElmo()
    out.write_bytes(b"precious")
    with pytest.raises(ElmoError, match="exists already"):
        embed(out, elmo=elmo)
    assert elmo.streams == 0 and out.read_bytes() == b"precious"
    with pytest.raises(ElmoError, match="No space left"):
        embed(out, broken(RECORDS, 20), overwrite=True)
    assert out.read_bytes() == b"precious"
    embed(out, overwrite=True)
    assert out.read_bytes() == whole(tmp_path)
    (tmp_path / "folder.h5").mkdir()
    for name, problem in [("folder.h5", "it is a folder"), ("no/out.h5", "does not exist")]:
        with pytest.raises(ElmoError, match=problem):
            embed(tmp_path / name, overwrite=True)


def test_an_output_that_appears_meanwhile_is_kept(tmp_path):
    out = tmp_path / "out.h5"

    class Slow(FakeElmo):
        def stream(self, *args, **kwargs):
            out.write_bytes(b"precious")
            yield from super().stream(*args, **kwargs)

    with pytest.raises(ElmoError, match="exists already"):
        embed(out, elmo=Slow())
    assert out.read_bytes() == b"precious" and any((tmp_path / "out.h5.parts").glob("part-*"))


@pytest.mark.parametrize(("suffix", "options"), OPTIONS.items())
def test_a_full_disk_is_reported_and_finished_parts_stay(tmp_path, suffix, options):
    """Simulated by a limit on file sizes: a part fits, the whole file does not."""
    expected, out = whole(tmp_path, suffix, **options), tmp_path / f"out{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    embed(out, shard=(1, 1), **options)
    try:
        for most in (1, len(expected) // 2, len(expected) - 100):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
            with pytest.raises(ElmoError, match=r"Cannot write .*arge\. .* parts are finished"):
                embed(out, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not out.exists()
    embed(out, **options)
    assert out.read_bytes() == expected


def test_the_disk_is_checked_for_parts_and_output_before_the_start(tmp_path, monkeypatch):
    usage, elmo = shutil.disk_usage(tmp_path), FakeElmo()
    n_bytes = len(whole(tmp_path))
    writer = WRITERS[".h5"]._replace(estimated_bytes=lambda layout: n_bytes)
    monkeypatch.setitem(WRITERS, ".h5", writer)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=n_bytes + 100))
    with pytest.raises(ElmoError, match="GB free"):
        embed(tmp_path / "out.h5", elmo=elmo)
    assert elmo.streams == 0 and not (tmp_path / "out.h5.parts").exists()
    embed(tmp_path / "out.h5", part_tokens=10**6)


def test_leftovers_of_a_process_killed_at_the_very_end_are_removed(tmp_path):
    out, folder = tmp_path / "out.h5", tmp_path / "out.h5.parts"

    def keep(self):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("elmo_jax.corpus.parts.PartsFolder.remove", keep)
        with pytest.raises(KeyboardInterrupt):
            embed(out)
    assert out.exists() and folder.is_dir()
    content = out.read_bytes()
    elmo = FakeElmo()
    summary = embed(out, elmo=elmo)
    assert elmo.streams == 0 and summary["finished"] and out.read_bytes() == content
    assert not folder.exists()
    with pytest.raises(ElmoError, match="exists already"):
        embed(out)


def test_a_part_counts_only_under_its_own_name_and_for_its_own_job(tmp_path):
    out, folder = tmp_path / "out.h5", PartsFolder.beside(tmp_path / "out.h5")
    embed(out, [Record(["a"], "a")] * 30, shard=(1, 2))
    job = folder.job()
    assert folder.has(job, 0) and not folder.has(job, 1)
    shutil.copy(folder.path / "part-000000.zip", folder.path / "part-000001.zip")
    assert not folder.has(job, 1), "its text and numbers are those of part 0"
    assert not folder.has(dataclasses.replace(job, identity={}), 0)


def test_parts_stay_when_a_later_sentence_cannot_be_stored(tmp_path):
    class TooLarge(FakeElmo):
        def stream(self, *args, **kwargs):
            if self.streams == 3:
                raise ElmoError("The vectors have numbers beyond 65,504, the largest of float16")
            yield from super().stream(*args, **kwargs)

    with pytest.raises(ElmoError, match="beyond 65,504"):
        embed(tmp_path / "out.h5", elmo=TooLarge(), dtype="float16")
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5.parts"]
    assert embed(tmp_path / "out.h5", dtype="float16")["parts_found"] == 3


@pytest.mark.parametrize(
    "shard", [(0, 0), (0, 1), (2, 1), (1, 2**70), (1.0, 2), "1/2", (), (1,), 1, (True, 2), "12"]
)
def test_shards_that_do_not_exist_are_refused(tmp_path, shard):
    elmo = FakeElmo()
    with pytest.raises(ElmoError, match="shard"):
        embed(tmp_path / "out.h5", elmo=elmo, shard=shard)
    assert elmo.streams == 0 and list(tmp_path.iterdir()) == []


def test_names_of_no_use_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", ".", "..", "/", "a\0.h5", "out.h5\n", "no/out.h5", "n" * 300 + ".h5"):
        with pytest.raises(ElmoError):
            embed(name)
        with pytest.raises(ElmoError):
            merge_parts(name)
        with pytest.raises(ElmoError):
            merge_parts([name], "out.h5")
    with pytest.raises(ElmoError, match="got no sources"):
        merge_parts([], "out.h5")
    assert list(tmp_path.iterdir()) == []


def test_half_characters_are_refused_wherever_they_are(tmp_path):
    good = Record(["a"], "a", "k", "f", 7)
    for change in ({"text": "\ud800"}, {"key": "\ud800"}, {"words": ["\ud800"]}, {"key": 5}):
        with pytest.raises(ElmoError, match=r"f, line 7: the .* (half a character|expected a str)"):
            embed(tmp_path / "out.csv", [good._replace(**change)])


def test_notes_give_the_size_the_parts_and_what_is_lost(tmp_path):
    notes = []
    embed(tmp_path / "out.npy", pooling="mean", note=notes.append)
    assert "will take about" in notes[0] and "keys" in notes[1] and "parts" in notes[2]
