"""Places, options, variables and the files of each ecosystem: what the clients are told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from persistable_obstore import ObjectStorage, amazon, azure, google
from persistable_obstore.place import Place
from servers.azurite import ACCOUNT, Azurite
from servers.azurite import KEY as ACCOUNT_KEY
from servers.moto import KEY, REGION, SECRET, Moto

from persistable.exceptions import StorageCredentialsError


def client(storage: ObjectStorage) -> Any:
    """Return obstore's client, which tells its configuration."""
    return storage._connected()


# -- places


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket", ("s3", "bucket", "")),
        ("s3://bucket/", ("s3", "bucket", "")),
        ("S3://bucket/some/prefix/", ("s3", "bucket", "some/prefix")),
        ("az://container/a b/%20#1", ("az", "container", "a b/%20#1")),
        ("gs://bucket.with.dots/ü", ("gs", "bucket.with.dots", "ü")),
    ],
)
def test_a_url_is_a_service_a_bucket_and_a_prefix(url: str, place: tuple[str, str, str]) -> None:
    """The prefix is taken as it is written, without the slash at its end."""
    assert Place.of(url) == place
    assert ObjectStorage(url).url == Place.of(Place.of(url).url).url


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://bucket//prefix", "s3://bucket/../other"])
def test_a_url_that_is_no_place_is_refused(url: str) -> None:
    """A bucket there has to be, and no part that is empty or a step up."""
    with pytest.raises(ValueError, match="s3://"):
        ObjectStorage(url)


@pytest.mark.parametrize("url", ["s3://key:top-secret@bucket/prefix", "az://container/prefix?sig=top-secret"])
def test_a_url_has_no_credentials(url: str) -> None:
    """It is refused, and not repeated."""
    with pytest.raises(ValueError, match="storage_options") as caught:
        ObjectStorage(url)
    assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/x?versionId=1", "gs://bucket?generation=1", "az://container/x?y"])
def test_a_url_has_no_query(url: str) -> None:
    """That is what is said, and nothing of credentials."""
    with pytest.raises(ValueError, match="is no part of a location") as caught:
        ObjectStorage(url)
    assert "credential" not in str(caught.value)


def test_other_schemes_and_senseless_sizes_are_refused() -> None:
    """One class serves three schemes; parts and concurrency are at least one."""
    with pytest.raises(ValueError, match="r2:// is none of s3, az, gs"):
        ObjectStorage("r2://bucket")
    for sizes in ({"part_size": 0}, {"concurrency": 0}):
        with pytest.raises(ValueError, match="have to be positive"):
            ObjectStorage("s3://bucket", **sizes)


# -- S3


def test_options_of_s3_are_those_of_obstore() -> None:
    """With or without aws_ before them, in any case; only an http:// endpoint allows http."""
    identity = {"access_key_id": KEY, "AWS_Secret_Access_Key": SECRET}
    storage = ObjectStorage("s3://bucket/p", AWS_REGION="eu-west-1", endpoint_url="http://127.0.0.1:9", **identity)
    found = client(storage)
    assert found.prefix == "p"
    assert found.config["region"] == "eu-west-1"
    assert found.config["endpoint"] == "http://127.0.0.1:9"
    assert found.client_options["allow_http"] in (True, "true")
    secure = client(ObjectStorage("s3://bucket", endpoint="https://127.0.0.1:9", **identity))
    assert "allow_http" not in secure.client_options
    decided = {"endpoint": "http://127.0.0.1:9", "client_options": {"allow_http": False}}
    assert client(ObjectStorage("s3://bucket", **decided, **identity)).client_options["allow_http"] in (False, "false")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_s3_by_variables(moto: Moto, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Without an option everything comes from the environment."""
    bucket = moto.bucket()
    monkeypatch.setenv(variable, moto.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    storage = ObjectStorage(f"s3://{bucket}")
    storage.put("name", b"content")
    assert storage.get("name") == b"content"
    assert list(storage.uploads()) == []


@pytest.fixture
def profile(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a file with a profile that leads to moto; return its name."""
    config = tmp_path / "config"
    config.write_text(
        f"[profile team]\nregion = {REGION}\nendpoint_url = {moto.endpoint}\n"
        f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return "team"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_s3_by_profile(moto: Moto, profile: str, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A profile gives credentials, region and endpoint, by option or variable."""
    bucket = moto.bucket()
    if how == "variable":
        monkeypatch.setenv("AWS_PROFILE", profile)
    storage = ObjectStorage(f"s3://{bucket}", **({"profile": profile} if how == "option" else {}))
    storage.put("name", b"content")
    assert storage.get("name") == b"content"
    assert client(storage).config["region"] == REGION
    assert list(storage.uploads()) == []


def test_a_profile_that_is_not_there_is_told(profile: str) -> None:
    """It is a matter of credentials, as are half of them."""
    with pytest.raises(StorageCredentialsError, match="nobody"):
        ObjectStorage("s3://bucket", profile="nobody").get("name")
    with pytest.raises(StorageCredentialsError, match="Missing SecretAccessKey"):
        ObjectStorage("s3://bucket", access_key_id=KEY).get("name")


def test_what_is_said_has_precedence_over_a_profile(profile: str) -> None:
    """An endpoint by option is used in place of the profile's."""
    storage = ObjectStorage("s3://bucket", profile=profile, endpoint="http://127.0.0.1:9", region="mars-1")
    assert client(storage).config["endpoint"] == "http://127.0.0.1:9"
    assert client(storage).config["region"] == "mars-1"


def test_a_profile_without_boto3_names_the_repair(
    profile: str, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    """It is told where it was asked for; files that merely lie there are passed over."""
    without("boto3")
    with pytest.raises(ImportError, match="pip install boto3"):
        ObjectStorage("s3://bucket", profile=profile).get("name")
    assert client(ObjectStorage("s3://bucket")).credential_provider is None
    assert list(ObjectStorage("s3://bucket").uploads()) == []


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes a package look as if it was not installed."""
    import sys

    def hide(package: str) -> None:
        for name in [*sys.modules]:
            if name == package or name.startswith((f"{package}.", "obstore.auth.")):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return hide


# -- Azure


def test_azure_by_connection_string(azurite: Azurite) -> None:
    """A connection string says it all."""
    said = f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={azurite.endpoint}"
    storage = ObjectStorage(f"az://{azurite.container()}", connection_string=said)
    storage.put("name", b"content")
    assert storage.get("name") == b"content"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn",
            {"account_name": "a", "account_key": "a2V5==", "endpoint": "https://a.blob.core.chinacloudapi.cn"},
        ),
        (
            "BlobEndpoint=https://b.example/;SharedAccessSignature=sv=1&sig=x%3D",
            {"endpoint": "https://b.example/", "sas_token": "sv=1&sig=x%3D"},
        ),
        (
            "UseDevelopmentStorage=true",
            {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY, "endpoint": f"http://127.0.0.1:10000/{ACCOUNT}"},
        ),
    ],
)
def test_connection_strings(said: str, found: dict[str, str]) -> None:
    """They are the options they stand for."""
    assert azure._parsed(said) == found


def test_azure_by_the_variables_of_its_command(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY are read too, which obstore does not."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_KEY", ACCOUNT_KEY)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azurite.endpoint)
    storage = ObjectStorage(f"az://{azurite.container()}")
    storage.put("name", b"content")
    assert storage.get("name") == b"content"


def test_options_have_precedence_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection string in the environment is not mixed with options; a key there does not overrule a token."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=b3RoZXI=")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "b3RoZXI=")
    assert azure._settings({"account_name": "mine", "sas_token": "sig=x"}).config == {
        "account_name": "mine",
        "sas_token": "sig=x",
    }


def test_azure_without_an_account_is_told() -> None:
    """Whose container it is has to be said."""
    with pytest.raises(OSError, match="Account must be specified"):
        ObjectStorage("az://container", account_key=ACCOUNT_KEY).get("name")


# -- Google


def test_options_of_google_are_those_of_obstore(monkeypatch: pytest.MonkeyPatch) -> None:
    """With or without google_ before them; the variable of the emulators leads there without credentials."""
    settings = google._settings({"GOOGLE_BEARER_TOKEN": "token", "base_url": "https://127.0.0.1:9"})
    assert settings.config == {"bearer_token": "token", "base_url": "https://127.0.0.1:9"}
    assert "allow_http" not in settings.client
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    settings = google._settings({})
    assert settings.config["base_url"] == "http://127.0.0.1:9"
    assert settings.client["allow_http"] is True
    assert settings.provider is None
    assert client(ObjectStorage("gs://bucket")).config["base_url"] == "http://127.0.0.1:9"


def test_key_of_a_service_account_that_is_none(tmp_path: Path) -> None:
    """It is a matter of credentials, and shows nothing of them."""
    secret = '{"type": "service_account", "private_key": "none of your business"}'
    with pytest.raises((StorageCredentialsError, OSError)) as caught:
        ObjectStorage("gs://bucket", service_account_key=secret).get("name")
    assert "none of your business" not in str(caught.value)


def test_limits_can_be_set() -> None:
    """Retries and timeouts have defaults of ours, and an option each."""
    settings = amazon._settings(
        Place.of("s3://bucket"), {"client_options": {"timeout": "5s"}, "retry_config": {"max_retries": 1}}
    )
    assert settings.client["timeout"] == "5s"
    assert settings.client["connect_timeout"].total_seconds() == 10
    assert settings.retry["max_retries"] == 1
    assert settings.retry["retry_timeout"].total_seconds() == 30
