"""The `nightly` section: what it takes, what a mistake in it says, and that no mistake prints a webhook's URL."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.alerts import hosts_alone
from tasks.params import load_nightly, load_params
from tasks.strict import ParamsError
from tests.conftest import ROOT

SECRET = "T0123/B456/abcdef"
URL = f"https://hooks.example.org/services/{SECRET}"


def with_nightly(folder: Path, nightly: Any, **more: Any) -> Path:
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load((ROOT / "params.yaml").read_text()) | {"nightly": nightly, **more}))
    return file


def test_a_file_without_it_tells_nobody() -> None:
    assert load_params(ROOT / "params.yaml").nightly.alerts == ()


def test_what_the_projects_own_file_shows_as_an_example_is_sound(tmp_path: Path) -> None:
    before, _, example = (ROOT / "params.yaml").read_text().partition("# nightly:\n")
    file = tmp_path / "params.yaml"
    file.write_text(before + "nightly:\n" + example.replace("\n# ", "\n").removeprefix("# "))
    webhook, block = load_params(file).nightly.alerts
    assert (webhook.webhook, webhook.block) == ("env:NIGHTLY_WEBHOOK", None)
    assert (block.webhook, block.block) == (None, "slack-webhook/team")
    assert webhook.events == block.events == ("failure", "fall", "best")


@pytest.mark.parametrize(
    "webhook", [URL, "http://127.0.0.1:8065/hooks/x?y=z", "https://user:pass@host/x", "env:HOOK_2"]
)
def test_webhooks(webhook: str, tmp_path: Path) -> None:
    (channel,) = load_params(with_nightly(tmp_path, {"alerts": [{"webhook": webhook}]})).nightly.alerts
    assert channel.webhook == webhook
    assert webhook not in repr(channel)


@pytest.mark.parametrize(
    ("nightly", "says"),
    [
        ({"alert": []}, ["nightly.alert: no such key", "did you mean alerts?"]),
        ({"alerts": URL}, ["nightly.alerts: takes a list"]),
        ({"alerts": [URL]}, ["nightly.alerts.0: takes a section of keys"]),
        ({"alerts": {"webhook": URL}}, ["nightly.alerts: takes a list"]),
        ({"alerts": [{"webhook": URL}, {}]}, ["nightly.alerts.1: takes either webhook", "or block"]),
        ({"alerts": [{"webhook": URL, "block": "a/b"}]}, ["nightly.alerts.0: takes either webhook"]),
        ({"alerts": [{"webhok": URL}]}, ["nightly.alerts.0.webhok: no such key", "did you mean webhook?"]),
        ({"alerts": [{"webhook": f"htps://host/{SECRET}"}]}, ["nightly.alerts.0.webhook: takes an http(s) URL"]),
        ({"alerts": [{"webhook": f"host/{SECRET}"}]}, ["nightly.alerts.0.webhook: takes an http(s) URL, or env:NAME"]),
        ({"alerts": [{"webhook": f"https:///{SECRET}"}]}, ["nightly.alerts.0.webhook: takes an http(s) URL"]),
        ({"alerts": [{"webhook": f"https://h:port/{SECRET}"}]}, ["nightly.alerts.0.webhook: takes an http(s) URL"]),
        ({"alerts": [{"webhook": f"https://h/ {SECRET}"}]}, ["nightly.alerts.0.webhook: takes an http(s) URL"]),
        ({"alerts": [{"webhook": [URL]}]}, ["nightly.alerts.0.webhook: takes"]),
        ({"alerts": [{"webhook": "env:"}]}, ["nightly.alerts.0.webhook: takes", "env:NAME"]),
        ({"alerts": [{"webhook": "env:my hook"}]}, ["nightly.alerts.0.webhook: takes", "env:NAME"]),
        ({"alerts": [{"block": "team"}]}, ["nightly.alerts.0.block: takes TYPE/NAME", "prefect block ls"]),
        ({"alerts": [{"block": URL}]}, ["nightly.alerts.0.block: takes TYPE/NAME"]),
        (
            {"alerts": [{"block": "a/b", "events": ["fail"]}]},
            ["nightly.alerts.0.events.0: got 'fail'; takes 'failure', 'fall', 'best' or 'night'"],
        ),
        ({"alerts": [{"block": "a/b", "events": "fall"}]}, ["nightly.alerts.0.events: got 'fall'; takes a list"]),
        ({"alerts": [{"block": "a/b", "events": []}]}, ["nightly.alerts.0.events: got []; takes at least 1 entry"]),
        ({"alerts": [{"block": "a/b", True: ["fall"]}]}, ["nightly.alerts.0", "got the key True", "events"]),
        (None, ["nightly: got None; takes a section of keys"]),
    ],
)
def test_mistakes(nightly: Any, says: list[str], tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        load_params(with_nightly(tmp_path, nightly))
    message = str(caught.value)
    assert all(words in message for words in says), message
    assert len(message.splitlines()) == 1, message
    assert SECRET not in message


def test_a_file_that_is_no_yaml_is_told_without_the_url(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(f"nightly:\n  alerts: [webhook: {URL}\nbase: {{\n")
    with pytest.raises(ParamsError, match="not valid YAML") as caught:
        load_params(file)
    assert SECRET not in str(caught.value)


def test_the_section_is_read_although_others_have_mistakes(tmp_path: Path) -> None:
    file = with_nightly(tmp_path, {"alerts": [{"block": "a/b"}]}, base="zoo:base")
    with pytest.raises(ParamsError, match="base: got"):
        load_params(file)
    assert [channel.block for channel in load_nightly(file).alerts] == ["a/b"]
    assert load_nightly(ROOT / "params.yaml").alerts == ()
    with pytest.raises(ParamsError, match="nightly: got 3; takes a section of keys"):
        load_nightly(with_nightly(tmp_path, 3))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"404 for url '{URL}' today", "404 for url 'https://hooks.example.org' today"),
        ("http://user:pass@host:80/x?y#z", "http://host:80"),
        ("https://host?token=1 and http://b/c", "https://host and http://b"),
        ("s3://models/base, no address", "s3://models/base, no address"),
    ],
)
def test_what_people_see_of_a_url(text: str, shown: str) -> None:
    assert hosts_alone(text) == shown
