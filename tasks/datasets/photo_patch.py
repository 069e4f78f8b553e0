"""Patches of ten colour photographs that scikit-image, scikit-learn and matplotlib ship: which photograph is this from?"""

from __future__ import annotations

from dataclasses import dataclass

from harness.data import Dataset


@dataclass(frozen=True)
class Photo:
    """A photograph inside an installed package, pinned by the hash of its file."""

    name: str
    package: str
    """As it is imported (its code never is)."""
    file: str
    sha256: str
    licence: str


_SKIMAGE, _SKLEARN, _MATPLOTLIB = "skimage", "sklearn", "matplotlib"
DISTRIBUTIONS = {_SKIMAGE: "scikit-image", _SKLEARN: "scikit-learn", _MATPLOTLIB: "matplotlib"}
PHOTOS = (
    Photo(
        "astronaut",
        _SKIMAGE,
        "data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "public domain (NASA)",
    ),
    Photo(
        "chelsea",
        _SKIMAGE,
        "data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "CC0 (Stefan van der Walt)",
    ),
    Photo(
        "coffee", _SKIMAGE, "data/coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7", "CC0 (Rachel Michetti)"
    ),
    Photo(
        "rocket", _SKIMAGE, "data/rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c", "public domain (SpaceX)"
    ),
    Photo(
        "hubble-deep-field",
        _SKIMAGE,
        "data/hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        "public domain (NASA)",
    ),
    Photo(
        "immunohistochemistry",
        _SKIMAGE,
        "data/ihc.png",
        "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
        "no known copyright restrictions (CMMI)",
    ),
    Photo(
        "retina",
        _SKIMAGE,
        "data/retina.jpg",
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        "CC0 (Mikael Häggström)",
    ),
    Photo(
        "grace-hopper",
        _MATPLOTLIB,
        "mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        "public domain (US Navy)",
    ),
    Photo(
        "china",
        _SKLEARN,
        "datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "CC-BY-2.0 (danielbuechele, Flickr)",
    ),
    Photo(
        "flower",
        _SKLEARN,
        "datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        "CC-BY-2.0 (vultilion, Flickr)",
    ),
)
"""All in colour: a grey one would be told from the others by its three equal channels. scikit-image's motorcycle, of the Middlebury
stereo benchmark, is left out because nothing states its licence."""

DATASET = Dataset(
    name="photo-patch",
    description=(
        "8,000 patches of 32 x 32 pixels from 10 colour photographs; the class is the photograph, and no pixel is in two splits. "
        "Texture and scene-patch identification, not object recognition: it stands in for the difficulty of a small CIFAR-like set, not "
        "for its meaning. Out of the installed scikit-image, scikit-learn and matplotlib (needs the `data` extra). "
        "Own data: a folder of two or more photographs (.jpg, .png, .webp), one class each"
    ),
    source="photo-patch-10",
    kind="stand-in",
    version=1,
    prepare="tasks.datasets.photo_patch_files:prepare_photos",
    adopt="tasks.datasets.photo_patch_files:adopt_photos",
    open="tasks.datasets.images:open_images",
    size="25 MB prepared, nothing to fetch",
    form="labelled images",
)
