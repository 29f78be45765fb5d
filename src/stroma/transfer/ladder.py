"""The ladder from a pretrained base to a classifier: each rung dearer, and taken where it pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from torch import nn

from stroma.core.checks import check_choice, check_int, check_number, check_positive_int
from stroma.core.preprocessing import Preprocessing
from stroma.core.records_transfer import Rung as Rung
from stroma.core.scores import Score
from stroma.data import ImageData, Part
from stroma.layers.torch_module import Layout
from stroma.models import Model
from stroma.training.callbacks import Callback
from stroma.training.fitting import choose_device
from stroma.transfer.compose import feature_extractor, modes_kept, with_head
from stroma.transfer.features import features, verdict_path
from stroma.transfer.finetune import Finetuned
from stroma.transfer.heads.choose import MOST_WORK, HeadChoice, choose_head
from stroma.transfer.heads.head import Head
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.heads.scoring import TARGETS, Target
from stroma.transfer.inputs import as_base, as_image_data, as_tuple, check_pictures
from stroma.transfer.rounding import feature_precision
from stroma.transfer.rungs import Climb, Judge, value_of
from stroma.transfer.unlike import below_head


@dataclass(frozen=True, kw_only=True, slots=True)
class Transferred:
    """What `transfer` made. `str()` of it is the table of rungs.

    Args:
        model: Pictures 0 to 255 (B, H, W, C) -> probabilities (B, K).
        extractor: The part of `model` below the head, for `features` of other parts.
        head: The best head on the frozen features, fitted on train and validation together; `model`
            ends in it unless it was tuned.
        validation: Accuracy on validation of the chosen rung, fitted on train alone. Where rungs
            were compared it is a little too good: the test part is for the headline.
        rungs: All that were tried or left out, in order.
        tuned: What fine-tuning gave, where that was chosen.
        choice: How the heads compare, where there were several.
        precision: What features were computed in, and why; empty: somebody else computed them.
    """

    model: Model
    extractor: Model
    head: Head
    validation: Score
    rungs: tuple[Rung, ...] = ()
    tuned: Finetuned | None = None
    choice: HeadChoice | None = None
    precision: str = ""

    def __str__(self) -> str:
        return "\n".join(_told(rung) for rung in self.rungs)


def transfer(
    base: nn.Module,
    data: ImageData,
    *,
    budget: float | None = None,
    head: str | Head | Sequence[str | Head] = "ridge",
    target: Target = "accuracy",
    epochs: int = 10,
    layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    layout: Layout | None = None,
    precision: str = "auto",
    device: str = "auto",
    cache: bool = True,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Transferred:
    """A classifier from a pretrained base: as far up the ladder as pays on validation.

    1. Features once, cached, and a ridge head in closed form. 2. With `head="auto"` the best of all
    heads. 3. With a budget, the last stage is tuned on kept maps, at the best of three rates where
    there is time to try them; 4. then all stages, at that rate, on photos that are moved and, where
    the base does not mind, mirrored; each as far as the time left allows. The rung that does best
    on validation ships, the cheaper one of equals. A head is then solved on train and validation
    together; a tuned model has seen train alone. `base` stays as it is: what is tuned is a copy,
    and where nothing is, `model` shares its layers. The test part is not touched.

    Args:
        base: Network without its head, such as `zoo.squeezenet1_1(weights, include_top=False)`, or
            any PyTorch module that ends in a map or a vector.
        data: Pictures of the size that `base` takes: `data.images(path, size=...)`.
        budget: Seconds for everything, > 0; fine-tuning is begun only where the machine's measured
            pace says that it fits. None: no fine-tuning.
        head: "ridge", "auto", or what `choose_head` takes.
        target: "accuracy", or "balanced_accuracy": the mean of the classes' recalls; heads then
            weigh the classes alike.
        epochs: Most epochs of tuning, >= 1.
        layer, preprocessing, precision, device, cache: As in `features`.
        layout: "NCHW" or "NHWC", what a PyTorch module takes.
        seed: Of tuning.
        progress: Called with (part, done, total) while pictures go through the base.
    Raises: ShapeError: the pictures have another size than the base takes.
        ArgumentError: a number out of its range.
    Example:
        >>> from stroma import layers
        >>> from stroma.data import digits
        >>> x = layers.Input((8, 8, 1))
        >>> result = transfer(Model(x, layers.Flatten()(layers.Conv2D(8, 3)(x))), digits())
        >>> [rung.name for rung in result.rungs if rung.chosen]
        ['features + ridge']

    Reference: the order of the rungs: Kumar et al. 2022 (a probe first, then tuning from it).
    """
    began = time.perf_counter()
    if budget is not None:
        check_number("budget", budget, owner="transfer", minimum=0, exclusive=True)
    check_int("seed", seed, owner="transfer", minimum=0)
    as_base(base, owner="transfer")
    as_image_data(data, owner="transfer")
    check_pictures(base, data.shape, owner="transfer")
    place = choose_device(device)
    with modes_kept(base):
        extractor = feature_extractor(
            base, layer=layer, preprocessing=preprocessing, input_shape=data.shape, layout=layout
        ).to(place)
        verdict = verdict_path(extractor, data.train, place) if cache else None
        chosen = feature_precision(precision, extractor, data.train, place, verdict)

        def of(name: str, part: Part) -> np.ndarray:
            told = (lambda done, total: progress(name, done, total)) if progress else None
            return features(
                extractor, part, precision=chosen.name, device=device, cache=cache, progress=told
            )

        found = climb(
            extractor, data, of, deadline=None if budget is None else began + budget, began=began,
            head=head, target=target, epochs=epochs, precision=precision, device=device, seed=seed,
        )  # fmt: skip
    return replace(found, precision=chosen.reason)


def climb(
    extractor: Model,
    data: ImageData,
    of: Callable[[str, Part], np.ndarray],
    *,
    deadline: float | None = None,
    began: float | None = None,
    head: str | Head | Sequence[str | Head] = "ridge",
    target: Target = "accuracy",
    most_work: float = MOST_WORK,
    epochs: int = 10,
    forced: bool = False,
    precision: str = "auto",
    device: str = "auto",
    seed: int = 0,
    watching: Callable[[int], Sequence[Callback]] | None = None,
) -> Transferred:
    """`transfer` for features that somebody else keeps.

    Args:
        extractor: Pictures (B, H, W, C) to features (B, D).
        data: Without validation the scores are those of leave-one-out, and nothing is tuned.
        of: Gives the features of a part, which it is also told by name.
        deadline: By `time.perf_counter`, for everything; None: no fine-tuning.
        began: When the first rung began; None: now.
        head, target, epochs, precision, device, seed: As in `transfer`.
        most_work: As in `choose_head`.
        watching: Gives the callbacks of a tuning of so many steps.
        forced: Whether the fewest epochs are tuned even where they take longer than the deadline.
    """
    began = time.perf_counter() if began is None else began
    check_positive_int("epochs", epochs, owner="transfer")
    check_choice("target", target, TARGETS, owner="transfer")
    classes, labels = len(data.class_names), data.train.labels
    train, validation = of("train", data.train), of("validation", data.validation)
    judge = Judge(validation, data.validation, labels, target)
    weight: Literal["balanced"] | None = "balanced" if target == "balanced_accuracy" else None
    if not isinstance(head, str):
        head = as_tuple("head", head, (Head, str), owner="transfer") or ("ridge",)
    heads: list[Head] = [RidgeHead(class_weight=weight, target=target)]
    heads[0].fit(train, labels, classes)
    rungs = [judge.rung("features + ridge", heads[0], began)]
    choice = None
    if head != "ridge":
        start = time.perf_counter()
        choice = choose_head(
            train, labels, classes, head, target=target, class_weight=weight,
            most_work=most_work, seed=seed,
        )  # fmt: skip
        if choice.head.name != heads[0].name:
            heads.append(choice.head)
            rungs.append(judge.rung(f"head: {choice.head.name}", choice.head, start))
    at, tuned = _best(rungs), None
    best = heads[at]
    if deadline is not None and len(data.validation):
        further = Climb(
            extractor,
            data,
            judge,
            heads[0],
            deadline,
            epochs,
            forced,
            precision,
            device,
            seed,
            watching or (lambda steps: ()),
        )
        more, tuned = further.on(rungs[at])
        rungs += more
        at = _best(rungs)
    rungs[at] = replace(rungs[at], chosen=True)
    if len(validation):
        train = np.concatenate([train, validation])
        labels = np.concatenate([labels, data.validation.labels])
    final = best.fit(train, labels, classes)
    score = rungs[at].score
    assert score is not None
    return Transferred(
        model=tuned.model if tuned else with_head(extractor, final.as_layers()),
        extractor=below_head(tuned.model) if tuned else extractor,
        head=final, validation=score, rungs=tuple(rungs), tuned=tuned, choice=choice,
    )  # fmt: skip


def _best(rungs: Sequence[Rung]) -> int:
    """The first of those that do best: it is the cheapest."""
    return max(range(len(rungs)), key=lambda at: (value_of(rungs[at]), -at))


def _told(rung: Rung) -> str:
    mark = "->" if rung.chosen else "  "
    if rung.score is None:
        return f"{mark} {rung.name:32} left out: {rung.left_out}"
    interval = rung.score.interval
    span = f"  {interval.low:6.1%} to {interval.high:6.1%}" if interval else ""
    return f"{mark} {rung.name:32} {rung.score.value:7.2%}{span}  {rung.seconds:7.1f} s"
