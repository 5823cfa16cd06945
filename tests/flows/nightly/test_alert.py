"""Alerts reach webhooks and Prefect's blocks; what is in the way is a sentence, without the webhook's secret."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, MattermostWebhook
from prefect.blocks.system import Secret

from flows.nightly.alert import Alert, check_channels, send_alerts
from flows.nightly.receivers import ATTEMPTS
from tasks.alerts import Channel
from tests.flows.nightly.receiver import PATH, Receiver
from wudi.errors import WudiError

FAILURE = Alert("failure", "night/2026-01-02 failed", "merge@wudi failed", night="2026-01-02")
FALL = Alert("fall", "wudi fell", "wudi lost 3.1 points (p = 0.002)", link="https://prefect.example.org/runs/1")
BEST = Alert("best", "a new best", "ties: 71.3")
NIGHT = Alert("night", "night/2026-01-02", "2 of 12 stages ran")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and no listen
        yield f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}"


def block(receiver: Receiver, name: str) -> str:
    """Save a block of Prefect that posts to a receiver; gives its reference."""
    custom = CustomWebhookNotificationBlock(
        name=name, url=receiver.url, json_data={"title": "{{subject}}", "text": "{{body}}"}
    )
    custom.save(name, overwrite=True)
    return f"custom-webhook/{name}"


def test_one_message_with_all_that_a_channel_wants(receiver: Receiver) -> None:
    channels = [Channel(webhook=receiver.url), Channel(webhook=receiver.url, events=("night",))]
    assert send_alerts([NIGHT, FALL, BEST], channels) == []
    first, second = receiver.messages()
    text = (
        "wudi fell; a new best\nwudi fell\nwudi lost 3.1 points (p = 0.002)\n\na new best\nties: 71.3\n\n"
        "https://prefect.example.org/runs/1"
    )
    assert first == {
        "text": text,
        "content": text,
        "subject": "wudi fell; a new best",
        "events": ["fall", "best"],
        "night": None,
        "link": "https://prefect.example.org/runs/1",
    }
    assert second["text"] == second["content"] == "night/2026-01-02\n2 of 12 stages ran"
    assert {(path, kind) for path, kind, _ in receiver.requests} == {(f"{PATH}?token=SECRET", "application/json")}


def test_nobody_is_told_of_what_nobody_wants(receiver: Receiver) -> None:
    channels = [Channel(webhook=receiver.url, events=("best",)), Channel(webhook=receiver.url)]
    assert send_alerts([], channels) == []
    assert send_alerts([NIGHT], channels) == []
    assert send_alerts([FAILURE], channels) == []
    (message,) = receiver.messages()
    assert (message["events"], message["night"]) == (["failure"], "2026-01-02")


def test_long_messages_keep_to_what_receivers_take(receiver: Receiver) -> None:
    assert send_alerts([Alert("failure", "failed", "é" * 50_000)], [Channel(webhook=receiver.url)]) == []
    (message,) = receiver.messages()
    assert len(message["content"]) == 2000
    assert 2000 < len(message["text"]) <= 8000
    assert message["text"].startswith("failed\né")


@pytest.mark.parametrize("statuses", [[500], [503, 429], [408]])
def test_what_passes_is_tried_again(statuses: list[int]) -> None:
    with Receiver(*statuses) as receiver:
        assert send_alerts([FAILURE], [Channel(webhook=receiver.url)]) == []
    assert len(receiver.requests) == len(statuses) + 1


@pytest.mark.parametrize(("status", "times"), [(404, 1), (403, 1), (302, 1), (500, ATTEMPTS)])
def test_a_refusal_is_a_sentence_and_the_others_are_told(status: int, times: int, receiver: Receiver) -> None:
    with Receiver(*[status] * ATTEMPTS) as refusing:
        (problem,) = send_alerts([FAILURE], [Channel(webhook=refusing.url), Channel(webhook=receiver.url)])
        assert problem.startswith(f"no alert went to the webhook {refusing.host}: it answered with status {status}")
    assert (len(refusing.requests), len(receiver.requests)) == (times, 1)
    assert "SECRET" not in problem


def test_a_receiver_that_is_down(nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (problem,) = send_alerts([FAILURE], [Channel(webhook=nobody)])
    assert problem == (
        f"no alert went to the webhook {nobody.removesuffix(PATH)}: it did not answer (ConnectError), after 3 attempts"
    )
    assert "SECRET" not in caplog.text


def test_a_receiver_that_does_not_answer(receiver: Receiver) -> None:
    receiver.held.clear()
    (problem,) = send_alerts([FAILURE], [Channel(webhook=receiver.url)], seconds=0.2)
    assert "it did not answer (ReadTimeout), after 3 attempts" in problem
    assert len(receiver.requests) == ATTEMPTS


def test_the_secret_is_in_no_log(
    receiver: Receiver, server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert server
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HOOK", receiver.url)
    channels = [Channel(webhook="env:HOOK"), Channel(webhook=receiver.url), Channel(block=block(receiver, "logged"))]
    caplog.clear()
    assert send_alerts([FAILURE], channels) == []
    assert len(receiver.requests) == 3
    assert "SECRET" not in caplog.text
    logging.getLogger("httpx").info("others may log again")
    assert "others may log again" in caplog.text


def test_a_url_in_a_variable(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = [Channel(webhook="env:NIGHT_HOOK")]
    monkeypatch.delenv("NIGHT_HOOK", raising=False)
    unset = r"params\.yaml: nightly\.alerts\.0: the variable NIGHT_HOOK is not set where the night runs"
    with pytest.raises(WudiError, match=unset):
        check_channels(channels)
    (problem,) = send_alerts([FAILURE], channels)
    assert problem.startswith("no alert went to the webhook env:NIGHT_HOOK: the variable NIGHT_HOOK is not set")
    monkeypatch.setenv("NIGHT_HOOK", "SECRET")
    with pytest.raises(WudiError, match=r"the variable NIGHT_HOOK holds no http\(s\) URL") as caught:
        check_channels(channels)
    assert "SECRET" not in str(caught.value)
    monkeypatch.setenv("NIGHT_HOOK", receiver.url + "\n")
    check_channels(channels)
    assert send_alerts([FAILURE], channels) == []
    assert len(receiver.requests) == 1


@pytest.mark.usefixtures("server")
def test_blocks(receiver: Receiver) -> None:
    port = receiver.server.server_port
    mattermost = MattermostWebhook(hostname="127.0.0.1", token="abcdef", port=port, secure=False, include_image=False)
    mattermost.save("team", overwrite=True)
    channels = [Channel(block=block(receiver, "team")), Channel(block="mattermost-webhook/team")]
    check_channels(channels)
    assert send_alerts([FAILURE, NIGHT], channels) == []
    custom, team = receiver.messages()
    assert custom == {"title": FAILURE.subject, "text": FAILURE.body}
    assert FAILURE.subject in team["text"] and FAILURE.body in team["text"]
    assert receiver.requests[1][0] == "/hooks/abcdef"


@pytest.mark.usefixtures("server")
def test_blocks_in_a_flow(receiver: Receiver) -> None:
    channels = [Channel(block=block(receiver, "inside"))]

    @flow
    def telling() -> list[str]:
        check_channels(channels)
        return send_alerts([FAILURE], channels)

    assert telling() == []
    assert len(receiver.requests) == 1


@pytest.mark.long
@pytest.mark.usefixtures("server")
def test_blocks_that_do_not_send(nobody: str, receiver: Receiver) -> None:
    with Receiver(*[404] * 9) as refusing:
        port = refusing.server.server_port
        MattermostWebhook(hostname="127.0.0.1", token="SECRET", port=port, secure=False).save("gone", overwrite=True)
        CustomWebhookNotificationBlock(name="down", url=nobody).save("down", overwrite=True)
        channels = [
            Channel(block=block(refusing, "wrong")),
            Channel(block="mattermost-webhook/gone"),
            Channel(block="custom-webhook/down"),
            Channel(block="custom-webhook/nothing"),
            Channel(block=block(receiver, "sound")),
        ]
        problems = send_alerts([FAILURE], channels)
        first, second, third, fourth = problems
        assert first.startswith(
            "no alert went to the block custom-webhook/wrong: HTTPStatusError (Client error '404 Not"
        )
        assert refusing.host in first
    assert "block mattermost-webhook/gone: NotificationError" in second
    assert "error=404" in second
    assert "block custom-webhook/down: ConnectError" in third
    assert "block custom-webhook/nothing cannot be loaded" in fourth
    assert "SECRET" not in " ".join(problems)
    assert all(len(problem.splitlines()) == 1 for problem in problems)
    assert len(receiver.requests) == 1


class Awaited(CustomWebhookNotificationBlock):
    """A block whose method is a coroutine, as Prefect's abstract one is."""

    _block_type_name = "Awaited Webhook"
    _block_type_slug = "awaited-webhook"

    async def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]
        await self.anotify(body, subject)


@pytest.mark.usefixtures("server")
def test_a_block_that_is_awaited(receiver: Receiver) -> None:
    Awaited(name="team", url=receiver.url, json_data={"text": "{{body}}"}).save("team", overwrite=True)
    assert send_alerts([FAILURE], [Channel(block="awaited-webhook/team")]) == []
    assert receiver.messages() == [{"text": FAILURE.body}]


@pytest.mark.usefixtures("server")
def test_every_channel_is_looked_at(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    stored: Any = Secret(value="x")
    Block.save(stored, "plain", overwrite=True)
    channels = [
        Channel(webhook="env:NOWHERE"),
        Channel(webhook=receiver.url),
        Channel(block="slack-webhook/nobody"),
        Channel(block="secret/plain"),
        Channel(block="no-such-type/team"),
    ]
    with pytest.raises(WudiError) as caught:
        check_channels(channels)
    lines = str(caught.value).splitlines()
    assert [line.partition(": the ")[0] for line in lines] == [
        f"params.yaml: nightly.alerts.{number}" for number in (0, 2, 3, 4)
    ]
    assert "the variable NOWHERE is not set" in lines[0]
    assert "the block slack-webhook/nobody cannot be loaded" in lines[1]
    assert "`prefect block ls`" in lines[1]
    assert "the block secret/plain sends no notifications" in lines[2]
    assert "the block no-such-type/team cannot be loaded" in lines[3]
    assert not receiver.requests
