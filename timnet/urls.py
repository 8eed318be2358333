"""URLs in what is printed and stored: without user, password and query, which may be a signature."""

import re

from timnet.errors import ConfigError

# A password may hold any letter, a slash too, so it goes on to the last @ of the word; an address may lack its scheme.
_USER = re.compile(r"(?<=://)[^\s/:]*@|(?<![^\s'\"(<=/])[^\s/:'\"(]*:(?!//)\S*@")
_QUERY = re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]*")
_USER_INSIDE = re.compile(r"://[^/]*:.*@|^(s3a?|ray)://[^/]*@")


def without_secrets(text: object) -> str:
    """The text, such as an error of another library, with every URL in it cut to what may be shown."""
    return _QUERY.sub(r"\1", _USER.sub("", str(text)))


def one_line(error: object) -> str:
    """What another library's error says, to be a part of a sentence of ours; may be empty."""
    return " ".join(without_secrets(error).split()).rstrip(".")


def refuse_secrets(uri: str | None, option: str = "") -> None:
    """Raises ConfigError, which does not repeat it, for a path or URI that holds credentials or a query."""
    if uri is None or "://" not in uri:
        return
    what = f"{option}: a URI" if option else "A URI"
    if _USER_INSIDE.search(uri):
        raise ConfigError(
            f"{what} with credentials in it is refused, as it would be stored and shown. Write it without: S3's are "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, Ray's is RAY_AUTH_TOKEN."
        )
    if "?" in uri and not uri.startswith("file://"):
        raise ConfigError(
            f"{what} with a ? in it is refused, as it would be stored and shown, and what follows may be a signature. "
            "Write s3://bucket/prefix without it, and rename what has a ? in its name."
        )
