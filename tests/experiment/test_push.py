"""Pushing an exported folder: to a hub that speaks the real one's protocol, to none, and to one that refuses."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import constants

from l2a_gym.cache import SEAL, damaged, write_folder
from l2a_gym.errors import UserError
from l2a_gym.experiment.push import check_hub_id, push

FILES = {"README.md": b"# A student\n", "model.safetensors": bytes(range(256)) * 9, "onnx/model.onnx": b"onnx" * 99}


class Hub(ThreadingHTTPServer):
    """Keeps repositories in memory, and takes large files by LFS, as the hub does.

    Attributes:
        files: repository -> name -> content.
        stored: SHA-256 -> content of a large file.
        visibility: what repositories were asked to have.
        token: that it accepts.
    """

    token = "hf_good"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, dict[str, bytes]] = {}
        self.stored: dict[str, bytes] = {}
        self.visibility: list[Any] = []


class Requests(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None: ...

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, answer: Any, code: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        hub, body = self.server, self._body()
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            hub.visibility.append(asked.get("visibility"))
            if name in hub.files:
                return self._answer({"error": "You already created this model repo", "url": f"{hub.url}/{name}"}, 409)
            hub.files[name] = {}
            return self._answer({"url": f"{hub.url}/{name}", "name": name, "id": name})
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        name = "/".join(self.path.removeprefix("/api/models").split("/")[1:3])
        if self.path.endswith("/preupload/main"):
            modes = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if "model" in each["path"] else "regular",
                    "shouldIgnore": False,
                }
                for each in json.loads(body)["files"]
            ]
            return self._answer({"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            found = [
                {**each, "actions": {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self._answer({"transfer": "basic", "objects": found})
        assert self.path == f"/api/models/{name}/commit/main"
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                hub.files[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                hub.files[name][value["path"]] = hub.stored[value["oid"]]
        return self._answer({"commitUrl": f"{hub.url}/{name}/commit/abc", "commitOid": "abc"})

    def do_PUT(self) -> None:
        content = self._body()
        self.server.stored[hashlib.sha256(content).hexdigest()] = content
        self._answer({})

    def do_GET(self) -> None:
        self._answer({"error": "Entry not found"}, 404)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)  # which $HF_ENDPOINT is read into
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a protocol of other servers
    monkeypatch.setenv("HF_TOKEN", server.token)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def fill(into: Path) -> None:
        (into / "onnx").mkdir()
        for name, content in FILES.items():
            (into / name).write_bytes(content)

    write_folder(tmp_path / "student", fill)
    assert (tmp_path / "student" / SEAL).exists()
    return tmp_path / "student"


def test_a_folder_is_pushed_and_pushed_again(hub: Hub, folder: Path) -> None:
    assert push(folder, "me/my-student") == f"{hub.url}/me/my-student"
    assert hub.files == {"me/my-student": FILES}
    (folder / "README.md").write_bytes(b"# My own words\n")
    push(folder, "me/my-student")
    assert hub.files == {"me/my-student": FILES | {"README.md": b"# My own words\n"}}
    assert hub.visibility == [None, None]  # the hub's own default


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        push(folder, "me/my-student")
    assert damaged(folder) == []
    sentence = str(caught.value)
    assert sentence.startswith(f"{folder} could not be pushed to me/my-student (")
    assert sentence.endswith(f"): it stays, for hf upload me/my-student {folder}")
    return sentence


def test_without_a_network_the_folder_stays(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert "offline mode is enabled" in refusal(folder)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "Connection refused" in refusal(folder)
    assert hub.files == {}


def test_who_may_not_push_is_told(hub: Hub, folder: Path) -> None:
    hub.token = "hf_other"
    assert "401" in refusal(folder)
    assert hub.files == {}


@pytest.mark.parametrize("name", ["a/b/c", "me/my student", "runs/student/", "-x/y"])
def test_what_is_no_hub_id_is_named(name: str) -> None:
    with pytest.raises(UserError, match=r"is not a hub id \(.*\): valid are names such as me/my-student$"):
        check_hub_id(name)
    check_hub_id("me/my-student")
    check_hub_id("my-student")
