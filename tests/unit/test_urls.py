"""What may be shown of a URL, and which are refused."""

import pytest

from timnet.config import EvaluateSettings, RunSettings
from timnet.errors import ConfigError
from timnet.plan import plan
from timnet.urls import refuse_secrets, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "401 for url 'http://me:hunter2@127.0.0.1:1/api/health' For",
            "401 for url 'http://127.0.0.1:1/api/health' For",
        ),
        ("Invalid endpoint: http://me:hunter2@my_host:9000", "Invalid endpoint: http://my_host:9000"),
        ("Invalid endpoint: me:hunter2@host:9000", "Invalid endpoint: host:9000"),
        ("http://me:hun/ter2@@host/api", "http://host/api"),
        ('"https://hunter2@host/x"', '"https://host/x"'),
        ("GET https://host/x?X-Amz-Signature=hunter2&a=b, twice", "GET https://host/x twice"),
        ("'https://me:hunter2@a/b?sig=hunter2' and (s3://b/c?hunter2)", "'https://a/b' and (s3://b/c"),
        ("postgresql+asyncpg://me:hunter2@host/db", "postgresql+asyncpg://host/db"),
    ],
)
def test_passwords_and_queries_are_cut_out_of_a_text(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/prefix: there is no bucket. Write to someone@example.org",
        "http://127.0.0.1:4200/api cannot be used (timed out)",
        "Is it there? --ray-address ray://head:10001: no",
        "/data/a@b/c?d.wav and emodb:x",
    ],
)
def test_everything_else_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "uri", [None, "a?b", "/a:b@c", "file:///a/b?c", "s3://bucket/p", "local", "ray://h:1", "s3://b/a@c"]
)
def test_what_holds_no_secret_is_not_refused(uri):
    refuse_secrets(uri)


@pytest.mark.parametrize("option", ["store", "data_root", "split_table", "weights", "ray_address"])
@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (
            "s3://bucket/x?X-Amz-Signature=hunter2",
            r"a URI with a \? in it is refused.* Write s3://bucket/prefix without it",
        ),
        ("https://host/x.csv?sig=hunter2", r"a URI with a \? in it is refused"),
        (
            "s3://KEY:hunter2@bucket/x",
            "a URI with credentials in it is refused.* Write it without: S3's are AWS_ACCESS",
        ),
        ("ray://hunter2@host:10001", "a URI with credentials in it is refused.*Ray's is RAY_AUTH_TOKEN"),
    ],
)
def test_a_setting_with_a_secret_is_refused_before_anything_shows_it(option, uri, text):
    model = EvaluateSettings if option == "weights" else RunSettings
    with pytest.raises(ConfigError, match=f"^--{option.replace('_', '-')}: {text}") as caught:
        plan(model(**{option: uri}))
    assert "hunter2" not in str(caught.value)
