"""Operations on pictures (B, H, W, C), or on one (H, W, C)."""

from __future__ import annotations

from typing import Any

from stroma.core.seeds import Draws
from stroma.functional import arrays, pictures, windows
from stroma.ops.calling import apply, operation

resize = operation(pictures.resize, "In another size (height, width).")
rgb_to_grayscale = operation(arrays.rgb_to_grayscale, "0.2989 R + 0.5870 G + 0.1140 B.")
rgb_to_hsv = operation(pictures.rgb_to_hsv, "Hue, saturation and value of numbers in [0, 1].")
hsv_to_rgb = operation(pictures.hsv_to_rgb, "Red, green and blue of numbers in [0, 1].")
pad_images = operation(pictures.pad_images, "Zeros around the picture.")
crop_images = operation(pictures.crop_images, "The picture without its borders.")
extract_patches = operation(windows.extract_patches, "Windows, flattened into channels.")
extract_patches_3d = operation(windows.extract_volume_patches, "Windows of volumes, flattened "
                               "into channels.")  # fmt: skip
gaussian_blur = operation(pictures.gaussian_blur, "The mean around each pixel, by a bell.")
sobel_edges = operation(pictures.sobel_edges, "Slopes down and to the right, as a last axis.")
ssim = operation(pictures.ssim, "Structural similarity: 1 for equal pictures.", inputs="alike")
map_coordinates = operation(pictures.map_coordinates, "Numbers between the places of a tensor.")
affine_transform = operation(pictures.affine_transform, "Turned, stretched, sheared, moved.")
perspective_transform = operation(pictures.perspective_transform, "Four points moved to others.")


def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Any:
    """Axes stretched, then moved: x' = scale x + translation.

    Args:
        images: Any tensor.
        output_shape: Shape of the result.
        scale, translation: One number for each of `spatial_dims`.
        spatial_dims: The axes.
        method: "linear", "cubic", "lanczos3" or "lanczos5".
        antialias: Whether the kernel grows where the picture shrinks.
    Example:
        >>> scale_and_translate(torch.eye(2), (4, 2), [2.0], [0.0], [0], "linear").shape
        torch.Size([4, 2])
    """
    return apply(
        pictures.scale_and_translate, images, scale, translation, output_shape=output_shape,
        spatial_dims=spatial_dims, method=method, antialias=antialias,
    )  # fmt: skip


def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Any:
    """Pixels moved by random ways that are smooth over `sigma` pixels.

    Args:
        images: (B, H, W, C), or one.
        alpha: How far.
        sigma: Width of the bell that smooths the ways, in pixels.
        interpolation: "bilinear" or "nearest".
        fill_mode: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: For "constant".
        seed: Of the ways; torch's generator draws them when None.
        data_format: "channels_last" or "channels_first".
    Example:
        >>> elastic_transform(torch.ones(8, 8, 1), seed=1).shape
        torch.Size([8, 8, 1])
    """
    return apply(
        pictures.elastic_transform, images, alpha=alpha, sigma=sigma, interpolation=interpolation,
        fill_mode=fill_mode, fill_value=fill_value, data_format=data_format,
        generator=Draws(seed).generator("cpu"),
    )  # fmt: skip
