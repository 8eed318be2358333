"""Waiting for Ray: what a worker raised reaches the user as it was said there."""

import pytest
import ray

from tasks import waiting
from timnet.errors import StoreError


def raised_in_a_worker(monkeypatch, cause):
    error = ray.exceptions.RayTaskError("extract_shard", "Traceback (most recent call last): …", cause)

    def get(_):
        raise error.as_instanceof_cause()

    monkeypatch.setattr(ray, "get", get)


def test_an_error_that_a_user_can_mend_comes_without_rays_account_of_it(monkeypatch):
    raised_in_a_worker(monkeypatch, StoreError("the disk is full"))
    with pytest.raises(StoreError) as caught:
        waiting.result(None)
    assert type(caught.value) is StoreError
    assert str(caught.value) == "the disk is full"


def test_any_other_error_keeps_it(monkeypatch):
    raised_in_a_worker(monkeypatch, ZeroDivisionError("x"))
    with pytest.raises(ray.exceptions.RayTaskError):
        waiting.result(None)
