"""Every error that stroma makes has its four parts, and no bare one is raised: read in the source.

The source is walked, not run, so an error in a corner that no test reaches counts as well.
"""

import ast
from pathlib import Path

import stroma

ROOT = Path(stroma.__file__).parent
PARTS = ("where", "why", "fix")
BARE = {  # not AttributeError, which hasattr and copy ask for, nor AssertionError: invariants
    "Exception", "ValueError", "TypeError", "RuntimeError", "NotImplementedError", "OSError",
    "KeyError", "IndexError", "LookupError",
}  # fmt: skip

# Bare errors that no user reads: where they are raised, and who turns them into words.
TRANSLATED = {
    "cli/progress.py:Progress": "abstract methods of a class that only this file subclasses",
    "data/archive.py:read": "the audit lists the file as broken, with these words",
    "data/cache.py:finish": "caught below: the pictures are decoded per batch instead",
    "data/cache.py:open_cache": "a damaged cache is made anew",
    "data/folder.py:read_file": "the audit lists the file as broken, with these words",
    "data/parquet.py:picture": "the audit lists the row as broken, with these words",
    "datasets/fashion_mnist.py:_read": "caught below, where the file is named",
    "layers/augmentation.py:Affine": "abstract methods that only this room's layers define",
    "layers/augmenting.py:Augmentation": "abstract methods that only this room's layers define",
    "layers/index_lookup.py:load_assets": "caught below, where the file is named",
    "layers/tones.py:_InBytes": "abstract methods that only this file's layers define",
    "saving/archive.py:_unique": "read_json names the file and the member",
    "saving/graph_reader.py:_run": "caught where the layer that is called is named",
    "saving/rebuild.py:constant": "caught where the file is named",
    "saving/safetensors.py:_unique": "caught where the file is named",
    "transfer/unlike.py:_decoded": "caught below, where the record is named",
}


def sources():
    return {
        p.relative_to(ROOT).as_posix(): ast.parse(p.read_text("utf-8")) for p in ROOT.rglob("*.py")
    }


def name_of(function):
    return getattr(function, "id", None) or getattr(function, "attr", "")


def error_classes(trees):
    """Names of `StromaError` and its subclasses; those with an `__init__` of their own apart."""
    classes = [node for tree in trees.values() for node in ast.walk(tree) if _is_class(node)]
    names = {"StromaError"}
    while True:
        more = {c.name for c in classes if any(name_of(base) in names for base in c.bases)} - names
        if not more:
            break
        names |= more
    own = {c.name for c in classes if c.name in names and c.name != "StromaError" and _inits(c)}
    return names, own


def _is_class(node):
    return isinstance(node, ast.ClassDef)


def _inits(node):
    return [
        part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"
    ]


def _lacking(call):
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if None in given:
        return []
    empty = {name for name, value in given.items() if getattr(value, "value", True) == ""}
    return [part for part in PARTS if part not in given or part in empty]


def unfinished(trees):
    """Each construction of one of our errors that lacks a part, as text."""
    names, own = error_classes(trees)
    found = []
    for file, tree in trees.items():
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        made = [c for c in calls if name_of(c.func) in names - own]
        for node in ast.walk(tree):  # a class with its own __init__ says the parts there
            if _is_class(node) and node.name in own:
                inner = [n for init in _inits(node) for n in ast.walk(init)]
                made += [
                    n for n in inner if isinstance(n, ast.Call) and name_of(n.func) == "__init__"
                ]
        found += [
            f"{file}:{call.lineno} lacks {', '.join(lacking)}"
            for call in made
            if (lacking := _lacking(call))
        ]
    return sorted(found)


def bare(trees):
    """(file:function, file:line) of each builtin error that is raised."""
    found = []
    for file, tree in trees.items():
        scopes = [(tree, ())]
        while scopes:
            node, inside = scopes.pop()
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                inside = (*inside, node.name)
            scopes += [(child, inside) for child in ast.iter_child_nodes(node)]
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if name_of(raised) in BARE:
                    found.append((file, inside, node.lineno))
    return found


def _allowed(file, inside):
    keys = [f"{file}:*", *(f"{file}:{name}" for name in inside)]
    return next((key for key in keys if key in TRANSLATED), None)


def test_every_error_says_what_where_why_and_what_to_type():
    assert unfinished(sources()) == []


def test_no_bare_error_reaches_a_user():
    raised = [(f"{f}:{line}", _allowed(f, inside)) for f, inside, line in bare(sources())]
    assert [place for place, key in raised if key is None] == []
    assert {key for _, key in raised} == set(TRANSLATED), "the list names what is no longer there"


def test_the_walk_finds_planted_mistakes():
    planted = """
class MyError(StromaError): ...
class OtherError(MyError):
    def __init__(self, kind): super().__init__(kind, where="here")
def f():
    raise MyError("what", where="here", why="", fix="type this")
def g():
    raise ValueError("what")
def h():
    raise MyError("what", where="a", why="b", fix="c")
"""
    trees = {"core/errors.py": ast.parse("class StromaError(Exception): ..."),
             "x.py": ast.parse(planted)}  # fmt: skip
    assert unfinished(trees) == ["x.py:4 lacks why, fix", "x.py:6 lacks why"]
    assert bare(trees) == [("x.py", ("g",), 8)]
