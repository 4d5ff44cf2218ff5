"""The order of the modules, and what the library does not do."""

import ast
import graphlib
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import elmo_jax

ROOT = Path(elmo_jax.__file__).resolve().parent

# A file imports only what stands above it. A package that is named as a whole keeps its own order;
# the package elmo_jax itself, which re-exports, stands aside.
ORDER = """
    errors json_text files folders forking progress
    text.words text.treebank text.raw_text text.tokenizers text.limits text.line_ends
    text.splitting text.sentences text.cut_words text.contents text.readers text
    model.arrays model.alphabet model.option_keys model.options model.config model.characters
    model.spelling model.batches model.precision model.token_layer model.lstm model.bilm
    model.scalar_mix model.parameters model.layers model.arguments model
    pretrained.remote_files pretrained.registry pretrained.connection pretrained.part
    pretrained.download pretrained.sums pretrained
    checkpoint.formats checkpoint.gzip_text checkpoint.vocabulary checkpoint.opened
    checkpoint.containers checkpoint.digests checkpoint.native_config
    checkpoint.safetensors_weights checkpoint.native checkpoint.stored_arrays
    checkpoint.hdf5_arrays checkpoint.hdf5_weights checkpoint.published checkpoint.softmax_words
    checkpoint.foreign checkpoint.matrices checkpoint.token_table checkpoint.verification
    checkpoint.saving checkpoint.other_signatures checkpoint.sources checkpoint.resaving checkpoint
    processes lanes functional export engine embedder
    sklearn spacy corpus.writers corpus training ray explore alignment word_vectors cli __main__
""".split()


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
MODULES = sorted(FILES.keys() - {""})


def place(module):
    """Where a module stands in the order: at its own name, or at the nearest package around it."""
    while module not in ORDER and "." in module:
        module = module.rpartition(".")[0]
    return ORDER.index(module) if module in ORDER else None


def imports(module):
    """The modules of this package that a module imports, inside functions too."""
    package = f"elmo_jax.{module}"
    if FILES[module].name != "__init__.py":
        package = package.rpartition(".")[0]
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "elmo_jax":
                    yield alias.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            if origin.split(".")[0] == "elmo_jax":
                yield from (imported(origin.partition(".")[2], a.name) for a in node.names)


def imported(origin, name):
    """The module that `from elmo_jax.<origin> import <name>` leads to."""
    below = f"{origin}.{name}" if origin else name
    if below in FILES:
        return below
    return origin or elmo_jax._HOME_OF.get(name, "")


def test_every_module_has_a_place_in_the_order():
    assert [module for module in MODULES if place(module) is None] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_stands_above_it(module):
    for other in filter(None, imports(module)):
        same_whole = place(module) == place(other) and other != module
        assert place(other) < place(module) or same_whole, f"{module} imports {other}"


def test_no_imports_form_a_cycle():
    graph = {module: set(imports(module)) - {""} for module in MODULES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_the_reader_of_imports_sees_all_kinds():
    """It is the measure of the tests above, so it is measured too."""
    assert {"errors", "model.options"} <= set(imports("model.config"))
    assert {"model.arguments", "model.bilm", "model.layers"} <= set(imports("functional"))
    assert {"errors", "pretrained.registry", "pretrained.download"} <= set(imports("pretrained"))
    assert {"model.config", "model.precision"} <= set(imports("model.token_layer"))
    assert {"pretrained", "checkpoint.published"} <= set(imports("checkpoint.sources"))


# What importing costs

HEAVY = ("jax", "flax", "h5py", "numpy", "safetensors", "optax", "tqdm", "urllib.request")


@pytest.mark.parametrize(
    ("statement", "light"),
    [
        ("import elmo_jax", HEAVY),
        ("from elmo_jax import ElmoConfig, ElmoError, pretrained", HEAVY),
        ("from elmo_jax import load, save", ("jax", "flax", "optax")),
    ],
)
def test_importing_loads_nothing_that_is_not_used_yet(statement, light):
    code = f"import sys\n{statement}\nprint(*(m for m in {light} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    assert (result.stdout, result.stderr) == ("\n", "")


def test_all_public_names_are_there():
    for name in elmo_jax.__all__:
        assert getattr(elmo_jax, name) is not None
        assert name in dir(elmo_jax)
    shown = [name for name in dir(elmo_jax) if not name.startswith("__")]
    assert shown == elmo_jax.__all__  # each once, and no helper of the package beside them


def test_type_checkers_see_the_public_names_at_the_modules_they_are_loaded_from():
    """The package imports nothing, so it says twice where a name is: for Python, and for them."""
    (block,) = (
        node
        for node in TREES[""].body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {alias.asname: node.module or alias.name for node in block.body for alias in node.names}
    packages = {name: name for name in elmo_jax._SUBPACKAGES}
    assert seen == elmo_jax._HOME_OF | packages


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'elmo_jax' has no attribute 'elmo'$"):
        _ = elmo_jax.elmo


# What the library does not do


def config_uses(tree):
    """Lines that reach for jax.config."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_jax = isinstance(node.value, ast.Name) and node.value.id == "jax"
            if of_jax and node.attr == "config":
                yield node.lineno
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if (node.module == "jax" and "config" in names) or node.module == "jax.config":
                yield node.lineno


@pytest.mark.parametrize("module", MODULES)
def test_jax_config_is_the_callers_own(module):
    assert list(config_uses(TREES[module])) == []


def stdout_uses(tree):
    """Lines that print without naming a file, or name sys.stdout."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "print" and "file" not in {k.arg for k in node.keywords}:
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr in ("stdout", "__stdout__"):
            yield node.lineno


@pytest.mark.parametrize("module", [m for m in MODULES if m.split(".")[0] != "cli"])
def test_only_the_command_line_writes_to_stdout(module):
    assert list(stdout_uses(TREES[module])) == []


def test_the_reader_of_imports_sees_them():
    assert {"engine", "errors"} <= set(imports("embedder.sentence_embedder"))
    assert "export" in imports("cli.export"), "inside a function too"


def test_the_readers_of_uses_see_them():
    code = "import jax, sys\njax.config.update('a', 1)\nprint(1)\nprint(1, file=sys.stderr)\n"
    tree = ast.parse(code + "sys.stdout.write('')\nfrom jax import config\n")
    assert list(config_uses(tree)) and list(config_uses(ast.parse("from jax import config")))
    assert sorted(stdout_uses(tree)) == [3, 5]
