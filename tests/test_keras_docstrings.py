"""Examples in Keras' own docstrings under `import stroma as keras`: an oracle we did not write."""

from fnmatch import fnmatchcase

import pytest

from keras_differences import DIFFERENCES, OPEN, meant
from keras_docstrings import Example, compare, drawn, examples, run, survey
from oracle import keras

WANTED = 0.95
# an example opens a file and leaves it open
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def every():
    return examples()


def failing(outcomes):
    return {outcome.name: outcome.problem for outcome in outcomes if outcome.problem}


def without_reason(outcomes):
    return {
        name: why for name, why in failing(outcomes).items()
        if not meant(name, "example") and f"{name}:example" not in OPEN
    }  # fmt: skip


def test_a_third_of_the_examples_runs_as_in_keras(every):
    outcomes = survey(drawn(every))
    assert len(outcomes) > 100
    assert not without_reason(outcomes)


@pytest.mark.slow
def test_all_examples_run_as_in_keras(every):
    outcomes = survey(every)
    assert len(outcomes) > 400
    assert not without_reason(outcomes)
    assert len(failing(outcomes)) <= (1 - WANTED) * len(outcomes)
    places = [*OPEN, *(p for d in DIFFERENCES for p in d.places)]
    listed = [p for p in places if p.endswith(":example")]
    seen = [f"{name}:example" for name in failing(outcomes)]
    assert not [p for p in listed if not any(fnmatchcase(place, p) for place in seen)]  # stale


def test_the_examples_are_keras_own_and_many(every):
    names = [example.name for example in every]
    assert len(names) > 500 and len(set(names)) == len(names)
    rooms = {name.split(".")[0] for name in names}
    assert rooms >= {"layers", "losses", "metrics", "optimizers", "initializers", "activations",
                     "regularizers", "callbacks", "models", "ops", "utils"}  # fmt: skip


@pytest.mark.parametrize(
    "planted",
    [
        ("x = keras.activations.relu", "x(np.float32([-1.0, 2.0]) * LIBRARY)"),
        ("keras.layers.Dense(2 + LIBRARY)(np.ones((1, 3))).shape",),
        ("print(LIBRARY)",),
        ("np.ones(3, dtype=['float32', 'float64'][LIBRARY])",),
        ("1 / (1 - LIBRARY)",),
        ("keras.Input((3 + LIBRARY,))",),
    ],
)
def test_planted_differences_are_seen(planted):
    # LIBRARY is 0 in Keras and 1 in stroma
    told = ("LIBRARY = int('stroma' in keras.__name__)", *planted)
    assert compare(Example("planted", told)).problem is not None
    assert compare(Example("fair", ("LIBRARY = 0", *planted))).problem is None


def test_random_numbers_are_compared_by_shape_only():
    draw = "keras.initializers.RandomNormal(seed=3)((2, 2))"
    assert compare(Example("drawn", (draw,))).problem is None
    assert compare(Example("fixed", (f"{draw} * 0 + int('stroma' in keras.__name__)",))).problem


def test_what_keras_does_not_run_is_left_out():
    assert compare(Example("sketch", ("model.fit(x, y)",))) is None
    half = compare(Example("half", ("model.fit(x, y)", "keras.ops.ones((2,))")))
    assert (half.ran, half.skipped, half.problem) == (1, 1, None)
    late = run(Example("late", ("y = nowhere",)), keras)
    assert "NameError" in late.errors[0]
