"""`Explanation`: a map of what spoke for a class, with what it means and what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from stroma.core.checks import check_number
from stroma.explain import picture
from stroma.explain.picture import Bar


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of a method: its name, what its numbers are, and what it cannot tell."""

    name: str
    unit: str
    limits: str


FACTS = {
    "gradcam": Facts(
        "Grad-CAM",
        "evidence",
        "It shows which places of the layer's map raise the score if its channels are weighted "
        "as a whole: nothing finer than the layer's cells, nothing that spoke against the class, "
        "and not whether the network is right. It may light up places that the score does not use.",
    ),
    "gradcam_plus_plus": Facts(
        "Grad-CAM++",
        "evidence",
        "Its weights are made for several objects of one class. Like Grad-CAM it is as coarse as "
        "the layer, shows nothing that spoke against the class, and may light up places that the "
        "score does not use.",
    ),
    "hires_cam": Facts(
        "HiRes-CAM",
        "evidence",
        "It shows where the layer's values add to the score to first order: as coarse as the "
        "layer and true of this layer only, nothing that spoke against the class, and not whether "
        "the network is right.",
    ),
    "integrated_gradients": Facts(
        "Integrated gradients",
        "part of the score",
        "It says by how much each pixel moved the score on the way from the baseline picture: "
        "another baseline gives another map, pixels like the baseline get nothing, and pixels "
        "that work only together share by the path.",
    ),
    "occlusion": Facts(
        "Occlusion",
        "fall of the score",
        "It says how the score falls when a patch is covered: the cover itself is something new "
        "to the network, evidence that is there twice hides, since covering one is not enough, "
        "and nothing finer than the patch is seen.",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Explanation:
    """Where in a picture the score of a class comes from.

    Args:
        map: (h, w) float32 in units of the class score; above 0 speaks for the class. Of a layer's
            size for the CAMs, of the picture's for the others.
        layer: Path of the layer that was looked at; empty where none was.
        class_index: The class that is explained; `class_name` its name.
        probability: Of that class, in [0, 1].
        method: Key of `stroma.explain.METHODS`.
        limits: What this map cannot tell, in a sentence or two.
        image: (H, W, C) the picture as the model was given it.
        details: Further numbers of the method, by name.
    """

    map: np.ndarray
    layer: str
    class_index: int
    class_name: str
    probability: float
    method: str
    limits: str
    image: np.ndarray = field(repr=False)
    details: Mapping[str, float] = field(default_factory=dict)

    def resized(self) -> np.ndarray:
        """The map at the picture's size (H, W), bilinear."""
        return picture.resized(self.map, self.image.shape[:2])

    def share_in(self, left: int, top: int, width: int, height: int) -> float:
        """Share of what speaks for the class that lies in a box of the picture, in [0, 1].

        NaN when nothing speaks for it.
        """
        mass = self.resized().clip(min=0)
        inside = mass[max(top, 0) : top + height, max(left, 0) : left + width]
        return float(inside.sum() / mass.sum()) if mass.sum() > 0 else float("nan")

    def half_area(self) -> float:
        """The smallest share of the picture that holds half of what speaks for the class.

        1/2 for a flat map, near 0 for one bright point; NaN when nothing speaks for it.
        """
        mass = np.sort(self.resized().clip(min=0), axis=None)[::-1].astype(np.float64)
        if not mass.sum() > 0:
            return float("nan")
        return float((np.searchsorted(mass.cumsum(), mass.sum() / 2) + 1) / mass.size)

    def centre(self) -> tuple[float, float]:
        """(x, y) of the centre of what speaks for the class, pixels from the left and the top.

        Both NaN when nothing speaks for it: `where` says so in words.
        """
        mass = self.resized().clip(min=0).astype(np.float64)
        if not mass.sum() > 0:
            return float("nan"), float("nan")
        rows, columns = (np.arange(size) + 0.5 for size in mass.shape)
        return float(mass.sum(0) @ columns / mass.sum()), float(mass.sum(1) @ rows / mass.sum())

    def where(self) -> str:
        """Where the map's weight lies, in words."""
        x, y = self.centre()
        if np.isnan(x):
            return "nothing in the picture speaks for this class"
        height, width = self.image.shape[:2]
        down = ("upper", "middle", "lower")[min(int(3 * y / height), 2)]
        across = ("left", "centre", "right")[min(int(3 * x / width), 2)]
        place = "middle" if (down, across) == ("middle", "centre") else f"{down} {across}"
        return (
            f"half of the map's weight lies on {100 * self.half_area():.0f} % of the picture, "
            f"around the {place}: x {x:.0f}, y {y:.0f} of {width} × {height}"
        )

    def overlay(self, *, opacity: float = 0.6) -> Image.Image:
        """The map over the picture, at the picture's size, without a word.

        Args:
            opacity: Of the map's colours, 0 to 1.
        """
        check_number("opacity", opacity, owner="overlay", minimum=0, maximum=1)
        return picture.overlay(self.image, self.resized(), self._bar(), opacity)

    def picture(self, *, opacity: float = 0.6, side: int = 320) -> Image.Image:
        """The picture and the overlay side by side, with a colour bar and the limits in words.

        Args:
            opacity: Of the map's colours, 0 to 1.
            side: Longer side of each panel, pixels.
        """
        photo = Image.fromarray(picture.displayable(self.image))
        panels = [picture.enlarged(one, side) for one in (photo, self.overlay(opacity=opacity))]
        at = f", layer {self.layer}" if self.layer else ""
        return picture.figure(
            panels,
            f"{self.class_name} ({100 * self.probability:.1f} %): {FACTS[self.method].name}{at}",
            f"{self.where().capitalize()}.\nWhat it cannot tell: {self.limits}",
            self._bar(),
        )

    def _bar(self) -> Bar:
        return picture.scale_of(self.map, FACTS[self.method].unit)
