"""The plugin keeps the promises of every format and of every plugin: its tests are the conformance suites."""

import numpy as np
from imagebox import PngFileIO, hooks
from PIL import Image

from persistable.testing import DoesNotApply, FormatTests, PluginTests

[PNG] = hooks.persistable_formats()


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


class PngTests(FormatTests):
    spec = PNG
    needs_metadata = True
    notices_flips = True  # png has checksums of its own

    def file_io(self):
        return PngFileIO()

    def options(self):
        return {"compress_level": 9}, {}

    def empty(self):
        return DoesNotApply("an image has at least one pixel")

    def unicode(self):
        return DoesNotApply("an image holds no text")


class TestArrays(PngTests):
    def payloads(self):
        return {
            "grey": noise(5, 7),
            "grey with alpha": noise(5, 7, 2),
            "colour": noise(5, 7, 3),
            "colour with alpha": noise(5, 7, 4),
            "one pixel": noise(1, 1),
            "strided": noise(10, 14, 3)[::2, ::-2],
            "fortran": np.asfortranarray(noise(5, 7)),
        }

    def large(self):
        return noise(800, 900, 3)

    def foreign(self):
        return {
            "floats": np.zeros((5, 7)),
            "one channel": noise(5, 7, 1),
            "line": noise(5),
            "no pixels": noise(0, 7),
            "nested": [[1, 2]],
            "masked": np.ma.masked_array(noise(5, 7)),
        }


class TestImages(PngTests):
    def payloads(self):
        return {mode: Image.fromarray(noise(5, 7, 3)).convert(mode) for mode in ("L", "LA", "RGB", "RGBA")}

    def large(self):
        return Image.fromarray(noise(800, 900, 3))

    def foreign(self):
        described = Image.new("RGB", (2, 2))
        described.info["dpi"] = (72, 72)
        return {
            "palette": Image.new("P", (2, 2)),
            "floats": Image.new("F", (2, 2)),
            "info": described,
            "no pixels": Image.new("L", (0, 2)),
            "bytes": b"\x89PNG",
        }


class TestPlugin(PluginTests):
    hooks = "imagebox.hooks"
    distribution = "imagebox-persistable"
