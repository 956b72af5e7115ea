"""Google Cloud Storage keeps the promises of every storage, as far as a server of ours stands for it."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from persistable_obstore import ObjectStorage
from servers import free_port, google_xml
from servers.google_xml import TOKEN, Google

from persistable.exceptions import NoSuchPlaceError, StorageCredentialsError
from persistable.storage import Storage
from persistable.testing import DoesNotApply, StorageTests

MIB = 1 << 20


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with google_xml.serving() as server:
        yield server


class TestGoogle(StorageTests):
    secrets = (TOKEN,)
    memory = DoesNotApply("the server, with its objects, is in this process")
    many = 600  # of pages of 250; S3 and Azure list 2000
    examples = 10

    @pytest.fixture
    def place(self, google: Google) -> Callable[[], Storage]:
        self.google = google
        url = f"gs://{google.bucket()}/some prefix%20/here"
        return lambda: ObjectStorage(url, part_size=5 * MIB, concurrency=2, **google.options)

    @pytest.fixture
    def unreachable(self) -> Callable[[], Storage]:
        nobody = {"base_url": f"http://127.0.0.1:{free_port()}", "retry_config": {"max_retries": 2}}
        return lambda: ObjectStorage("gs://bucket/prefix", bearer_token=TOKEN, **nobody)

    def leftovers(self, storage: Storage) -> Sequence[str]:
        return [*self.google.open]


def test_version_is_the_generation(google: Google) -> None:
    """It is another after every put, of equal content too, and what a put is conditional on."""
    bucket = google.bucket()
    storage = ObjectStorage(f"gs://{bucket}", **google.options)
    storage.put("name", b"same")
    first = storage.stat("name").version
    assert first == str(google.buckets[bucket]["name"].generation)
    storage.put("name", b"same")
    assert storage.stat("name").version != first
    assert first is not None
    assert storage.put_if_match("name", b"other", first) is False


def test_kinds_of_failures(google: Google) -> None:
    """Its answers are told apart as those of others are."""
    with pytest.raises(NoSuchPlaceError):
        ObjectStorage("gs://no-such-bucket", **google.options).get("name")
    with pytest.raises(StorageCredentialsError) as caught:
        ObjectStorage(f"gs://{google.bucket()}", **google.options | {"bearer_token": "expired-token"}).put("name", b"")
    assert "expired-token" not in str(caught.value)
