"""https with an authority made here: the unmodified client in an unmodified application, with its own token policy."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core.aio import DigitalTwinsClient as AsyncDigitalTwinsClient

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import LocalAdt, Options, Tls
from remhart_adt.testing import DATA_OWNER, DATA_READER, AsyncLocalCredential, LocalCredential

ROOM = {"@id": "dtmi:test:Room;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2", "contents": []}
BODY = {"$metadata": {"$model": ROOM["@id"]}}
HOST = "my-grid.api.weu.digitaltwins.azure.net"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAdt]:
    folder = tmp_path_factory.mktemp("tls")
    with LocalAdt(Options(tls=Tls(folder, (HOST,)), auth=True, instances=("my-grid",))) as server:
        yield server


@contextlib.contextmanager
def connected(
    server: LocalAdt, credential: LocalCredential, endpoint: str = "", **more: Any
) -> Iterator[DigitalTwinsClient]:
    client = DigitalTwinsClient(endpoint or server.endpoint, credential, **more)
    try:
        yield client
    finally:
        client._client.close()  # its public face has no close


def test_the_client_connects_with_the_authority_and_its_role_decides(secure: LocalAdt) -> None:
    verify = str(secure.ca_file)
    owner = LocalCredential(secure.control, "ada", roles=(DATA_OWNER,))
    with connected(secure, owner, connection_verify=verify) as client:
        client.create_models([ROOM])
        client.upsert_digital_twin("t", BODY)
        assert client.get_digital_twin("t")["$dtId"] == "t"
    reader = LocalCredential(secure.control, "ben", roles=(DATA_READER,))
    with connected(secure, reader, connection_verify=verify) as client:
        assert [twin["$dtId"] for twin in client.query_twins("SELECT * FROM DIGITALTWINS")] == ["t"]
        with pytest.raises(HttpResponseError) as refused:
            client.delete_digital_twin("t")
        assert refused.value.status_code == 403
    late = LocalCredential(secure.control, "ada", roles=(DATA_OWNER,), expires_in=-10)
    with (
        connected(secure, late, connection_verify=verify) as client,
        pytest.raises(ClientAuthenticationError),
    ):
        client.get_digital_twin("t")


async def test_the_asynchronous_client_does_too(secure: LocalAdt) -> None:
    owner = AsyncLocalCredential(secure.control, "ada", roles=(DATA_OWNER,))
    verify = str(secure.ca_file)
    async with AsyncDigitalTwinsClient(secure.endpoint, owner, connection_verify=verify) as client:
        assert [model.id async for model in client.list_models()] in ([], [ROOM["@id"]])


def test_an_instance_is_reached_by_its_own_name_with_pages_and_all(
    secure: LocalAdt, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo  # not every system knows that `*.localhost` is this machine

    def resolve(host: Any, *more: Any, **named: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    named = next(one for one in secure.control.instances() if one.name == "my-grid").endpoint
    relation = {"@type": "Relationship", "name": "near"}
    owner = LocalCredential(secure.control, "ada", roles=(DATA_OWNER,))
    with connected(secure, owner, named, connection_verify=str(secure.ca_file)) as client:
        client.create_models([{**ROOM, "@id": "dtmi:test:Hall;1", "contents": [relation]}])
        for twin in ("hall", "door"):
            client.upsert_digital_twin(twin, {"$metadata": {"$model": "dtmi:test:Hall;1"}})
        for number in range(11):  # one more than a page has
            body = {"$targetId": "door", "$relationshipName": "near"}
            client.upsert_relationship("hall", f"r{number}", body)
        assert len(list(client.list_relationships("hall"))) == 11
    assert {row.instance for row in secure.journal(path="/digitaltwins/hall")} == {"my-grid"}


def test_the_client_needs_no_setting_when_its_environment_names_the_authority(
    secure: LocalAdt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.ca_file))
    with connected(secure, LocalCredential(secure.control, "ada", roles=(DATA_OWNER,))) as client:
        assert [model.id for model in client.list_models()] in ([], [ROOM["@id"]])


def test_without_the_authority_the_client_refuses(secure: LocalAdt) -> None:
    owner = LocalCredential(secure.control, "ada", roles=(DATA_OWNER,))
    with (
        connected(secure, owner, retry_total=0) as client,
        pytest.raises(ServiceRequestError, match="certificate verify failed"),
    ):
        client.get_digital_twin("t")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "local.localhost", "my-grid.localhost", HOST])
def test_the_certificate_holds_for_every_name_of_an_instance(secure: LocalAdt, name: str) -> None:
    port = urlsplit(secure.endpoint).port

    async def connect() -> None:
        context = ssl.create_default_context(cafile=secure.ca_file)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.close()
        await writer.wait_closed()

    asyncio.run(connect())


def test_an_instance_that_is_added_later_is_covered(secure: LocalAdt) -> None:
    secure.control.create_instance("later")
    test_the_certificate_holds_for_every_name_of_an_instance(secure, "later.localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        test_the_certificate_holds_for_every_name_of_an_instance(secure, "other.example")


def test_keys_are_their_owners_only_and_the_authority_outlives_a_restart(tmp_path: Path) -> None:
    with LocalAdt(Options(tls=Tls(tmp_path))) as server:
        ca = Path(str(server.ca_file)).read_bytes()
        assert server.health()["status"] == "ok"
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ca-key.pem", "server.pem")] == [0o600, 0o600]
    with LocalAdt(Options(tls=Tls(tmp_path, ("more.example",)))) as server:
        assert Path(str(server.ca_file)).read_bytes() == ca
        assert server.health()["status"] == "ok"


@pytest.mark.parametrize("name", ["", "a b", "*.*.example", "x" * 300, "-a.example", "ä.example"])
def test_names_that_no_certificate_can_have_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalServerError, match="not a host name"):
        LocalAdt(Options(tls=Tls(tmp_path, (name,)))).start()


def test_a_folder_with_other_files_under_these_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "ca-key.pem").write_text("no key")
    with pytest.raises(LocalServerError, match="cannot set up https") as caught:
        LocalAdt(Options(tls=Tls(tmp_path))).start()
    assert caught.value.where == str(tmp_path)


def test_a_client_that_keeps_its_connection_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with LocalAdt(Options(tls=Tls())) as server:
        split = urlsplit(server.endpoint)
        context = ssl.create_default_context(cafile=server.ca_file)
        client = http.client.HTTPSConnection(str(split.hostname), split.port, context=context, timeout=10)
        client.request("GET", "/models?api-version=2023-10-31")
        assert client.getresponse().read() == b'{"value":[],"nextLink":null}'
    client.close()
    assert "shutdown exceeded" not in caplog.text


def test_plain_http_on_an_https_server_is_no_crash(secure: LocalAdt) -> None:
    split: Any = urlsplit(secure.endpoint)
    with socket.create_connection((split.hostname, split.port), timeout=5) as client:
        client.sendall(b"GET /models HTTP/1.1\r\nHost: h\r\n\r\n")
        assert not client.recv(100).startswith(b"HTTP/1.1 200")
    assert secure.health()["status"] == "ok"
