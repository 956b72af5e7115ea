"""What the plugin brings. Imports nothing but persistable, so that listing plugins costs nothing."""

from persistable import FormatSpec, StorageSpec, hookimpl


@hookimpl
def persistable_formats() -> list[FormatSpec]:
    """Return png. Images of Pillow get it by type; arrays, whose default is npy, by ``payload_io="png"``."""
    return [
        FormatSpec(
            name="png",
            suffix=".png",
            io="imagebox.png:PngFileIO",
            types=("PIL.Image.Image",),
            executes_code=False,
            install="imagebox-persistable",
        )
    ]


@hookimpl
def persistable_storages() -> list[StorageSpec]:
    """Return the storage for ``sqlite:///path/to/file.db``."""
    return [
        StorageSpec(schemes=("sqlite",), storage="imagebox.sqlite:SqliteStorage", install="imagebox-persistable"),
    ]
