"""timm's and transformers' ResNets, as `make_foreign_reference.py` wrote them down, in the zoo."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from reference_weights import fill, pictures
from stroma import zoo
from stroma.core.errors import FileFormatError, WeightsError
from stroma.transfer import load_base, provenance
from stroma.zoo import weights as module
from stroma.zoo.cards import read_card
from stroma.zoo.hub import hub_weights
from stroma.zoo.table import TABLE
from stroma.zoo.translation import resnet_of, torchvision_names
from stroma.zoo.weights import find_local, resolve_weights

LIBRARIES, NAMES = ("timm", "transformers"), ("resnet18", "resnet50")
CARDS = ("config.json", "preprocessor_config.json")
both = pytest.mark.parametrize("library", LIBRARIES)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine."""
    for name in ("STROMA_WEIGHTS", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    return tmp_path


@cache
def reference(library: str, name: str = "resnet18") -> dict[str, Any]:
    path = Path(__file__).parent / "foreign" / f"{library}-{name}.json"
    return json.loads(path.read_text("utf-8"))


def tensors(library: str, name: str = "resnet18") -> dict[str, Tensor]:
    shapes = reference(library, name)["shapes"]
    kinds = {key: torch.int64 if key.endswith("tracked") else torch.float32 for key in shapes}
    made = {key: torch.zeros(shape, dtype=kinds[key]) for key, shape in shapes.items()}
    fill(made)
    return made


def plant(folder: Path, library: str, name: str = "resnet18", **changed: Any) -> Path:
    """A folder as the library leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(library, name), folder / "model.safetensors")
    for card in CARDS:
        if card in reference(library, name):
            content = reference(library, name)[card]
            if card == "config.json":
                content = {**content, **changed}
            (folder / card).write_text(json.dumps(content), "utf-8")
    return folder / "model.safetensors"


@both
@pytest.mark.parametrize("name", NAMES)
def test_their_weights_compute_what_they_compute(home: Path, library: str, name: str) -> None:
    path = plant(home / "their", library, name)
    network = zoo.architectures.lookup(name)(weights=path, input_shape=(None, None, 3))
    assert len(network.load_report.loaded) == len(reference(library, name)["shapes"])
    with torch.no_grad():
        found = network(pictures(64, 64))[:, :20]
    expected = torch.tensor(reference(library, name)["outputs"])
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_mixed_up_translation_would_be_seen(home: Path) -> None:
    """The planted mistake: two blocks of one shape exchanged; every name and shape fits."""
    made = tensors("transformers")
    for kind in ("layer.0", "layer.1"):
        first, second = (
            f"resnet.encoder.stages.0.layers.{n}.{kind}.convolution.weight" for n in (0, 1)
        )
        made[first], made[second] = made[second], made[first]
    save_file(made, home / "swapped.safetensors")
    network = zoo.resnet18(weights=home / "swapped.safetensors", input_shape=(None, None, 3))
    with torch.no_grad():
        found = network(pictures(64, 64))[:, :20]
    expected = torch.tensor(reference("transformers")["outputs"])
    assert (found - expected).abs().max() > 1e-2 * expected.abs().max()


def test_a_bare_network_without_its_head() -> None:
    bare = {name.removeprefix("resnet."): tensor for name, tensor in tensors("transformers").items()
            if not name.startswith("classifier")}  # fmt: skip
    translated = torchvision_names(bare)
    body = {name for name in reference("timm")["shapes"] if not name.startswith("fc.")}
    assert set(translated) == body
    assert resnet_of(translated) == "resnet18"
    assert resnet_of(reference("timm", "resnet50")["shapes"]) == "resnet50"
    assert resnet_of(["features.0.weight"]) == ""


def test_mismatches_are_named(home: Path) -> None:
    made = tensors("transformers")
    made["resnet.encoder.stages.0.layers.0.gate.weight"] = torch.zeros(3)
    save_file(made, home / "odd.safetensors")
    with pytest.raises(WeightsError, match=r"1 the network does not have.*gate\.weight"):
        zoo.resnet18(weights=home / "odd.safetensors")
    del made["resnet.encoder.stages.0.layers.0.gate.weight"]
    del made["resnet.encoder.stages.2.layers.0.shortcut.convolution.weight"]
    save_file(made, home / "short.safetensors")
    with pytest.raises(WeightsError, match=r"1 missing.*layer3\.0\.downsample\.0\.weight"):
        zoo.resnet18(weights=home / "short.safetensors")
    with pytest.raises(WeightsError, match="with another shape"):
        zoo.resnet50(weights=plant(home / "small", "transformers"))
    made["conv1.weight"] = torch.zeros(64, 3, 7, 7)
    with pytest.raises(WeightsError, match=r"two weights would be called 'conv1\.weight'"):
        torchvision_names(made)


# --- what lies beside the weights -----------------------------------------------------------


def test_preprocessing_is_what_timm_would_do(home: Path) -> None:
    told = reference("timm")
    card = read_card(plant(home / "t", "timm"))
    assert card is not None and (card.architecture, card.licence) == ("resnet18", "apache-2.0")
    assert card.preprocessing is not None
    assert card.preprocessing.resize == told["resize"]
    assert list(card.preprocessing.size) == told["crop"]
    assert card.preprocessing.mean == pytest.approx(told["mean"])
    assert card.preprocessing.std == pytest.approx(told["std"])


def test_preprocessing_is_what_transformers_would_do(home: Path) -> None:
    path = plant(home / "h", "transformers")
    (path.parent / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\n# ResNet\n")
    card = read_card(path)
    assert card is not None and (card.architecture, card.licence) == ("resnet18", "apache-2.0")
    told = reference("transformers")["grey 51 becomes"]
    assert card.preprocessing is not None
    assert list(card.preprocessing.size) == told["shape"][1:] and card.preprocessing.resize == 256
    pixel = card.preprocessing(torch.full((1, 1, 1, 3), 51.0)).flatten().tolist()
    assert pixel == pytest.approx(told["pixel"], abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "size", "resize", "scale"),
    [
        ({"size": 224, "crop_pct": 0.875}, (224, 224), 256, 1 / 255),  # as of 2022
        ({"size": {"height": 160, "width": 192}}, (160, 192), 0, 1 / 255),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.9}, (384, 384), 0, 1 / 255),
        ({"size": 224, "do_rescale": False, "do_normalize": False}, (224, 224), 0, 1.0),
    ],
)
def test_processors_of_other_years(home: Path, settings, size, resize, scale) -> None:
    path = plant(home / "h", "transformers")
    (path.parent / CARDS[1]).write_text(json.dumps(settings))
    card = read_card(path)
    assert card is not None and card.preprocessing is not None
    found = card.preprocessing
    assert (found.size, found.resize, found.scale) == (size, resize, scale)
    assert (found.std == (1.0, 1.0, 1.0)) == ("do_normalize" in settings)


@pytest.mark.parametrize("config", ["", "[]", "{", '{"model_type": "bert"}', "[" * 100_000])
def test_any_other_config_is_passed_over(home: Path, config: str) -> None:
    (home / "config.json").write_text(config)
    assert read_card(home / "model.safetensors") is None


@pytest.mark.parametrize("change", [{"downsample_in_bottleneck": True}, {"hidden_act": "gelu"}])
def test_another_network_with_the_same_names_is_refused(home: Path, change: dict[str, Any]) -> None:
    path = plant(home / "h", "transformers", "resnet50", **change)
    with pytest.raises(WeightsError, match=f"another ResNet: {next(iter(change))}"):
        zoo.resnet50(weights=path)


# --- the hub's cache ------------------------------------------------------------------------


def cached(home: Path, library: str, repository: str, main: str = "b1") -> Path:
    """A repository in the hub's cache, with an older snapshot beside the one that main names."""
    folder = home / "HF_HOME" / "hub" / f"models--{repository.replace('/', '--')}"
    plant(folder / "snapshots" / "z0", library)
    path = plant(folder / "snapshots" / main, library)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(main)
    return path


@both
def test_from_the_hubs_cache(home: Path, library: str) -> None:
    path = cached(home, library, "someone/resnet-18")
    network = zoo.resnet18(weights="hf-hub:someone/resnet-18", include_top=False)
    assert network.pretrained.path == path and "Hugging Face" in network.pretrained.place
    assert network.preprocessing == network.pretrained.card.preprocessing
    base = load_base("hf-hub:someone/resnet-18", input_shape=(64, 64, 3))
    facts = provenance(base)
    assert facts.architecture == "resnet18:someone/resnet-18" and len(facts.sha256) == 64
    assert facts.weights_file == str(path) and "RGB 224 x 224 of" in facts.preprocessing


def test_not_in_the_cache(home: Path) -> None:
    with pytest.raises(WeightsError, match="not in the Hugging Face cache") as caught:
        hub_weights("hf-hub:microsoft/resnet-50")
    assert "hf download microsoft/resnet-50" in caught.value.fix
    for name in ("hf-hub:resnet", "hf-hub:../../etc/x", "hf-hub:a/b/c"):
        with pytest.raises(WeightsError, match="no repository"):
            hub_weights(name)


def test_no_pickle_runs(home: Path) -> None:
    class Evil:
        def __reduce__(self):
            return print, ("it ran",)

    path = home / "pytorch_model.bin"
    torch.save({"embedder.embedder.convolution.weight": Evil()}, path)
    with pytest.raises(FileFormatError):
        zoo.resnet18(weights=path)


# --- which recipe ---------------------------------------------------------------------------


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the right name count as whole."""
    monkeypatch.setattr(module, "_verify", lambda found: None)


def lay(home: Path, *tags: str) -> None:
    (home / "hub" / "checkpoints").mkdir(parents=True)
    for entry in TABLE:
        if entry.architecture == "resnet50" and entry.tag in tags:
            (home / "hub" / "checkpoints" / entry.file).write_bytes(b"weights")


@pytest.mark.parametrize(
    ("there", "name", "purpose", "tag", "reason"),
    [
        ("12", "imagenet", "features", "imagenet-v1", "since v1's features"),
        ("12", "imagenet", "finetuning", "imagenet-v2", "since v2 is the better start"),
        ("12", "finetuning", "features", "imagenet-v2", "since v2 is the better start"),
        ("12", "features", "finetuning", "imagenet-v1", "since v1's features"),
        ("2", "imagenet", "features", "imagenet-v2", "imagenet-v1 is not on this machine"),
        ("1", "imagenet", "finetuning", "imagenet-v1", "imagenet-v2 is not on this machine"),
        ("12", "imagenet-v2", "features", "imagenet-v2", ""),
    ],
)
def test_v1_for_features_v2_for_finetuning(
    home: Path, believed: None, there: str, name: str, purpose: Any, tag: str, reason: str
) -> None:
    lay(home, *(f"imagenet-v{n}" for n in there))
    said: list[str] = []
    found = resolve_weights("resnet50", name, purpose=purpose, say=said.append)
    assert found.entry is not None and found.entry.tag == tag
    assert reason in found.reason and found.reason in said[0] and bool(reason) == bool(found.reason)


def test_the_order_of_what_is_found(home: Path, believed: None) -> None:
    lay(home, "imagenet-v1", "imagenet-v2")
    order = [[f.entry.tag for f in find_local("resnet50", purpose) if f.entry]
             for purpose in module.PURPOSES]  # fmt: skip
    assert order == [["imagenet-v1", "imagenet-v2"], ["imagenet-v2", "imagenet-v1"]]
