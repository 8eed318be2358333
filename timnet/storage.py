"""How files are reached, on a local disk and on S3 alike: one set of options, and one line where S3 refuses or is away.

S3 takes its endpoint and credentials from the variables of every AWS program (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_PROFILE …) or from a machine's role, never from a URI: URIs are stored and shown.
Each process reads its own. The workers of a Ray that is started here inherit them; on a cluster every node needs them.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from timnet.errors import ConfigError, StoreError
from timnet.urls import one_line, refuse_secrets, without_secrets

# Waits of 0 to 1, 2, 4, 8, 16, 20, 20, 20 and 20 s, about 55 s in all: an S3 server that is restarted is back by then.
PATIENT_ATTEMPTS = 10
QUICK_ATTEMPTS = 2  # for the first question of a command, when nothing is lost yet
QUICK_TIMEOUT_S = 5

_PROTOCOLS = ("s3://", "s3a://")
# fsspec knows many more, of which nothing is tested: one in memory would lose what is computed without a word.
KINDS = ("file://", *_PROTOCOLS)

# Codes for which the server's own words do not say what to look at.
_ADVICE = {
    "NoSuchBucket": "there is no such bucket. Make it, or check the bucket's name and AWS_ENDPOINT_URL.",
    "SignatureDoesNotMatch": "the secret key does not belong to the key id. Check AWS_SECRET_ACCESS_KEY.",
    "InvalidAccessKeyId": "the server does not know the key id. Check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.",
    "ExpiredToken": "the credentials have expired. Renew them (AWS_SESSION_TOKEN).",
}
_DENIED = (
    "access is denied. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may list, read and write there."
)


def is_s3(uri: str) -> bool:
    return uri.startswith(_PROTOCOLS)


def absolute(uri: str) -> str:
    """A path as it is called from every folder; a URI is."""
    return uri.rstrip("/") if "://" in uri else os.path.abspath(os.path.expanduser(uri))


def open_at(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a path or URI and the path in it; nothing is asked of a server yet.

    Raises ConfigError for a URI with credentials or a query in it, and ValueError for one of another kind.
    """
    refuse_secrets(uri)
    if "://" in uri and not uri.startswith(KINDS):
        raise ValueError(f"{uri.partition('://')[0]}:// is of no supported kind")
    return fsspec.core.url_to_fs(uri, **(_s3_options(PATIENT_ATTEMPTS) if is_s3(uri) else {}))


def is_local(system: fsspec.AbstractFileSystem) -> bool:
    """Whether it is the disk of this machine."""
    return "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))


def check(uri: str) -> None:
    """Ask S3 for one name, without much patience; raises StoreError where it does not answer or refuses.

    For anything but S3 there is nothing to ask.
    """
    if not is_s3(uri):
        return
    _, path = open_at(uri)
    bucket, _, prefix = path.partition("/")
    if not bucket:
        raise StoreError(f"{uri}: there is no bucket in it. Write s3://bucket/prefix.")
    timeouts = {"connect_timeout": QUICK_TIMEOUT_S, "read_timeout": QUICK_TIMEOUT_S}
    options = _s3_options(QUICK_ATTEMPTS, timeouts)
    system = fsspec.filesystem("s3", skip_instance_cache=True, **options)
    system.retries = 1  # s3fs would try everything five times more
    with explained(uri):
        system.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", MaxKeys=1)


def local_folder(data_root: str) -> Path:
    """A data root as an absolute path of this machine; raises ConfigError for a URI of another kind."""
    if "://" in data_root and not data_root.startswith("file://"):
        raise ConfigError(
            f"--data-root {data_root}: corpora are put together on a disk. Give a folder, and copy the corpus afterwards."
        )
    return Path(os.path.abspath(os.path.expanduser(data_root.removeprefix("file://"))))


def names_in(folder: str) -> list[str] | None:
    """The names directly in a folder, sorted; None where there is no such folder.

    Raises StoreError where S3 refuses or is away, else OSError, and ValueError for a URI of another kind.
    """
    check(folder)
    system, path = open_at(folder)
    with explained(folder):
        if not system.isdir(path):
            return None
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in system.ls(path, detail=False))


def _s3_options(attempts: int, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        # Other processes write there too: what a listing said a moment ago is no answer.
        "use_listings_cache": False,
        # One request a read: all of it is one version of the object, and s3fs tries all of it again if it breaks off.
        "max_concurrency": 1,
        # boto3's name for the region is AWS_DEFAULT_REGION; every other AWS program takes AWS_REGION.
        "session_vars": {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)},
        "config_kwargs": {
            "retries": {"mode": "standard", "total_max_attempts": attempts},
            # The checksums that botocore adds of its own accord are refused by many servers that are not Amazon's.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            **(more or {}),
        },
    }


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what S3 refuses or cannot do into a StoreError of one line; a missing object stays a FileNotFoundError.

    Errors of a local disk pass unchanged.
    """
    if not is_s3(uri):
        yield
        return
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (OSError, ValueError, BotoCoreError, ClientError) as error:
        code = _code(error)
        if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
            raise
        # Not chained: the texts of botocore hold whole request URLs, and the cause has said its part in ours.
        raise StoreError(f"{uri}: {_reason(error, code)}") from None


def _code(error: BaseException) -> str:
    """The server's code for what went wrong, such as NoSuchBucket; empty where no server answered."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _reason(error: BaseException, code: str) -> str:
    from botocore import exceptions as boto

    if code in _ADVICE:
        return _ADVICE[code]
    if isinstance(error, PermissionError):
        return _DENIED
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return "there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
    if isinstance(error, boto.SSLError):
        return "its certificate is not trusted. Check AWS_ENDPOINT_URL and AWS_CA_BUNDLE."
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError, TimeoutError)):
        # Its host alone: the URL of a request says more than belongs into a log.
        host = urlsplit(without_secrets(getattr(error, "kwargs", {}).get("endpoint_url", ""))).netloc
        where = f" at {host}" if host else ""
        return f"the S3 server{where} does not answer. Check AWS_ENDPOINT_URL and that the server is up."
    said = one_line(error.__cause__ or error)
    return f"{said}. Check AWS_ENDPOINT_URL, AWS_REGION and the bucket's name."
