"""A client asks right before each request that changes something, also when it sends it again."""

from __future__ import annotations

import pytest

from airflow_provider_records.exceptions import NotSentError
from tests.client.raw_server import Scene
from tests.conftest import Serve


@pytest.fixture
def scene(serve: Serve) -> Scene:
    return Scene(serve)


def test_a_delete_that_may_not_be_sent_is_not_and_a_read_is(scene: Scene) -> None:
    scene.hook.may_send = lambda: False
    with pytest.raises(NotSentError, match="not sent"):
        scene.hook.delete()
    assert scene.count("delete") == 0
    assert scene.destroyed == []
    assert scene.hook.get() == 200


def test_it_is_asked_again_before_a_repeat(scene: Scene) -> None:
    scene.fault(call="delete", status=429, act=False)
    answers = iter([True, *[False] * 8])
    scene.hook.may_send = lambda: next(answers)
    with pytest.raises(NotSentError):
        scene.hook.delete()
    assert scene.count("delete") == 1
    assert scene.destroyed == []
