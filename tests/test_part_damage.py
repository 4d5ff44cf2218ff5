"""Parts and manifests that are damaged or made up: the right output, or a clear error."""

import copy
import io
import itertools
import json
import shutil
import zipfile

import pytest
from damage import damaged
from fake_elmo import FakeElmo, sentences
from tally import Tally, attempts

from elmo_jax import ElmoError
from elmo_jax.corpus import embed_corpus, merge_parts
from elmo_jax.corpus.job import Job
from elmo_jax.corpus.parts import PartsFolder

RECORDS = list(sentences(14))
DEEP = "[" * 100_000 + "]" * 100_000


def embed(out, **options):
    return embed_corpus(FakeElmo(), RECORDS, out, part_tokens=12, **options)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A folder of finished parts, whose disk never loses anything."""
    for module in ("files", "corpus.merging"):
        monkeypatch.setattr(f"elmo_jax.{module}.sync", lambda path: None)
    embed(tmp_path / "source.npz", shard=(1, 1))
    return tmp_path / "source.npz.parts"


@pytest.fixture
def attack(parts, tmp_path):
    """Merge, or resume, with one file of the folder replaced; count how it ends."""
    out = tmp_path / "out.npz"
    merge_parts(parts, out)
    expected = out.read_bytes()
    contents = {path.name: path.read_bytes() for path in parts.iterdir()}

    def attack(tally, name, what, content, resume=False):
        out.unlink(missing_ok=True)
        (parts / name).write_bytes(content)
        try:
            if resume:
                shutil.copytree(parts, out.with_name("out.npz.parts"), dirs_exist_ok=True)
                embed(out)
            else:
                merge_parts(parts, out)
        except ElmoError:
            tally.wrong(f"{name}, {what}: half an output") if out.exists() else tally.refused()
        except Exception as error:
            tally.wrong(f"{name}, {what}: {error!r}")
        else:
            is_right = out.read_bytes() == expected
            tally.right() if is_right else tally.wrong(f"{name}, {what}: other bytes")
        shutil.rmtree(out.with_name("out.npz.parts"), ignore_errors=True)
        (parts / name).write_bytes(contents[name])

    attack.contents = contents
    return attack


def damage_all(attack, n, seed):
    names = sorted(name for name in attack.contents if name.startswith(("part-", "manifest")))
    with Tally("a damaged part or manifest, merged or resumed") as tally:
        for name in names:
            for i, (what, content) in enumerate(damaged(attack.contents[name], n, seed)):
                attack(tally, name, what, content, resume=i % 4 == 0)
    assert tally.n_refused > tally.n_right > 0


def test_a_damaged_part_or_manifest_never_gives_a_wrong_output(attack):
    damage_all(attack, 30, seed=0)


@pytest.mark.slow
def test_thousands_of_damaged_parts_never_give_a_wrong_output(attack):
    damage_all(attack, attempts(900), seed=1)


# Parts that somebody has made


def members_of(part):
    with zipfile.ZipFile(io.BytesIO(part)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def made(members, compression=zipfile.ZIP_STORED, names=None):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name in names or members:
            archive.writestr(zipfile.ZipInfo(name), members[name], compression)
    return content.getvalue()


def tampered(part, other):
    """Parts made of this one and another one of the job: what is wrong, and the content."""
    members, others = members_of(part), members_of(other)
    lines = members["records.jsonl"].splitlines(keepends=True)
    yield "another part", other
    yield "no zip", b"PK\x03\x04"
    for name in ("DEFLATED", "BZIP2", "LZMA"):
        yield name, made(members, getattr(zipfile, f"ZIP_{name}"))
    for names in itertools.permutations(members):
        if list(names) != list(members):
            yield f"order {names}", made(members, names=names)
    for name in members:
        yield f"without {name}", made({key: members[key] for key in members if key != name})
        yield f"{name} of another part", made({**members, name: others[name]})
        yield f"{name} is empty", made({**members, name: b""})
        yield f"{name} is longer", made({**members, name: members[name] * 2})
        yield f"{name} is cut", made({**members, name: members[name][:-1]})
    yield "a further member", made({**members, "../further": b""})
    yield "a bomb", made({**members, "vectors": bytes(10**8)}, zipfile.ZIP_DEFLATED)
    for line in (DEEP, "[]", "{}", "null", '"abc"', "1", "1" * 5000, "[1, 2, 3]", '[null, "", 7]'):
        for place in (0, -1):
            changed = copy.copy(lines)
            changed[place] = f"{line}\n".encode()
            records = b"".join(changed)
            yield f"line {line[:20]}", made({**members, "records.jsonl": records})
    for records in (b"".join(reversed(lines)), b"".join(lines[1:]), b"\xff\n", b"".join(lines * 2)):
        yield f"records {records[:20]}", made({**members, "records.jsonl": records})
    for label in (DEEP, "null", "\xff"):
        yield f"label {label[:20]}", made({**members, "part.json": label.encode("latin-1")})


def header_lies(part):
    """Parts with other numbers in the headers of the zip."""
    directory = part.index(b"PK\x01\x02")
    # In an entry: versions, flags, method, checksum, sizes, lengths, disk, attributes, offset.
    for entry, field in itertools.product(range(3), range(4, 46, 2)):
        start = directory
        for _ in range(entry):
            start = part.index(b"PK\x01\x02", start + 4)
        for value in (b"\xff\xff", b"\x01\x00", b"\x00\x80", b"\x63\x00"):
            content = bytearray(part)
            content[start + field : start + field + 2] = value
            if content != part:
                yield f"entry {entry}, bytes {field} are {value.hex()}", bytes(content)
    end = part.rindex(b"PK\x05\x06")
    for field in range(4, 22, 2):
        for value in (b"\xff\xff", b"\x01\x00", b"\x00\x00"):
            content = bytearray(part)
            content[end + field : end + field + 2] = value
            yield f"end, bytes {field} are {value.hex()}", bytes(content)


def test_parts_that_somebody_has_made_never_give_a_wrong_output(attack):
    first, second = (attack.contents[f"part-00000{i}.zip"] for i in (0, 1))
    with Tally("a part that somebody has made or relabelled") as tally:
        for what, content in itertools.chain(tampered(first, second), header_lies(first)):
            attack(tally, "part-000000.zip", what, content)
    assert tally.n_refused > 100


# Manifests that somebody has made

VALUES = [None, True, -1, 0, 1, 10**30, 1e300, float("nan"), "", "x", "²", [], {}, [[]], "a" * 64]


def places(value, path=()):
    """The path of every value in a JSON object."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def changed(fields, path, value):
    fields = copy.deepcopy(fields)
    inner = fields
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return fields


def renamed(fields):
    """The manifest with the name that belongs to it, where it has one."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Job, "name", fields["name"])
            job = Job.from_manifest(json.dumps(fields))
        return {**fields, "name": job.name}
    except Exception:
        return fields


def manifests(content):
    fields = json.loads(content)
    for path in places(fields):
        for value in VALUES if path else []:
            other = changed(fields, path, value)
            yield f"{path} is {value!r}", json.dumps(other).encode()
            yield f"{path} is {value!r}, renamed", json.dumps(renamed(other)).encode()
    yield "deep", DEEP.encode()
    for depth in (100, 300, 500, 900):
        value = json.loads("[" * depth + "]" * depth)
        yield f"depth {depth}", json.dumps(changed(fields, ["identity", "x"], value)).encode()
    yield "not UTF-8", content + b"\xff"
    yield "twice", content * 2
    for value in (b"null", b"[]", b"1", b'"x"', b"", b"{}"):
        yield f"{value}", value


def attack_manifest(attack, every):
    with Tally("a manifest that somebody has made") as tally:
        cases = manifests(attack.contents["manifest.json"])
        for what, content in itertools.islice(cases, 0, None, every):
            attack(tally, "manifest.json", what, content)
    assert tally.n_refused > 10


def test_a_manifest_that_somebody_has_made_never_gives_a_wrong_output(attack):
    attack_manifest(attack, 9)


@pytest.mark.slow
def test_every_value_of_a_manifest_may_be_anything(attack):
    attack_manifest(attack, 1)


def test_a_part_that_is_missing_or_damaged_says_what_to_do(parts, tmp_path):
    part = parts / "part-000000.zip"
    part.write_bytes(part.read_bytes().replace(b"doc/0", b"doc/9"))
    with pytest.raises(ElmoError, match=r"part-000000\.zip is damaged \(.*Remove it, and run its"):
        merge_parts(parts, tmp_path / "out.npz")
    folder = PartsFolder(parts)
    job = folder.job()
    part.unlink()
    with pytest.raises(ElmoError, match=r"Cannot read the part .*: No such file"):
        list(folder.read(job, 0))
