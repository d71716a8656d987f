"""What the framework and the database cost by themselves: twins as rows, in the fewest lines that answer.

The same uvicorn, Starlette's router, one SQLite file; every change is a transaction of its own that is on the disk
before the answer (`synchronous=FULL`). No models, no validation, no metadata, no entity tags, no journal.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["fill"]

_SCHEMA = """
CREATE TABLE twins(id TEXT PRIMARY KEY, model TEXT, doc TEXT) WITHOUT ROWID;
CREATE TABLE relationships(source TEXT, id TEXT, target TEXT, doc TEXT, PRIMARY KEY(source, id)) WITHOUT ROWID;
CREATE INDEX by_target ON relationships(target);
CREATE INDEX by_name ON twins(json_extract(doc, '$.name'));
CREATE INDEX by_temperature ON twins(json_extract(doc, '$.temperature'));
"""


def fill(file: Path, twins: list[tuple[str, dict[str, Any]]], links: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Make the file: (id, document) and (source, id, document)."""
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(_SCHEMA)
        rows = [(name, doc["$metadata"]["$model"], orjson.dumps(doc).decode()) for name, doc in twins]
        db.executemany("INSERT INTO twins VALUES(?,?,?)", rows)
        ends = [(source, rid, doc["$targetId"], orjson.dumps(doc).decode()) for source, rid, doc in links]
        db.executemany("INSERT INTO relationships VALUES(?,?,?,?)", ends)
    db.close()


def app(file: Path) -> Starlette:
    """The server over a filled file."""
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA wal_autocheckpoint=8000")

    def answer(body: bytes | None, status: int = 200) -> Response:
        return Response(body, status, media_type="application/json")

    def one(sql: str, *parameters: Any) -> Any:
        return db.execute(sql, parameters).fetchone()

    async def models(_request: Request) -> Response:
        return answer(b"[]")

    async def get_twin(request: Request) -> Response:
        row = one("SELECT doc FROM twins WHERE id=?", request.path_params["id"])
        return answer(row[0].encode()) if row else answer(b"{}", 404)

    async def put_twin(request: Request) -> Response:
        body = await request.body()
        doc = orjson.loads(body)
        row = (request.path_params["id"], doc["$metadata"]["$model"], body.decode())
        db.execute("INSERT OR REPLACE INTO twins VALUES(?,?,?)", row)
        return answer(body)

    async def patch_twin(request: Request) -> Response:
        name = request.path_params["id"]
        row = one("SELECT doc FROM twins WHERE id=?", name)
        if row is None:
            return answer(b"{}", 404)
        doc = orjson.loads(row[0])
        for op in orjson.loads(await request.body()):
            *parents, last = op["path"].split("/")[1:]
            holder = doc
            for parent in parents:
                holder = holder[parent]
            holder[last] = op["value"]
        db.execute("UPDATE twins SET doc=? WHERE id=?", (orjson.dumps(doc).decode(), name))
        return answer(None, 204)

    async def delete_twin(request: Request) -> Response:
        db.execute("DELETE FROM twins WHERE id=?", (request.path_params["id"],))
        return answer(None, 204)

    async def telemetry(request: Request) -> Response:
        orjson.loads(await request.body())
        return answer(None, 204)

    async def put_link(request: Request) -> Response:
        body = await request.body()
        row = (request.path_params["id"], request.path_params["rid"], orjson.loads(body)["$targetId"], body.decode())
        db.execute("INSERT OR REPLACE INTO relationships VALUES(?,?,?,?)", row)
        return answer(body)

    async def list_links(request: Request) -> Response:
        rows = db.execute("SELECT doc FROM relationships WHERE source=? LIMIT 10", (request.path_params["id"],))
        return answer(b'{"value":[%b]}' % b",".join(row[0].encode() for row in rows))

    async def query(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        rows = db.execute(asked["sql"], asked["parameters"]).fetchall()
        return answer(b'{"value":[%b]}' % b",".join(str(row[0]).encode() for row in rows))

    twin = "/digitaltwins/{id}"
    return Starlette(
        routes=[
            Route("/models", models),
            Route(twin, get_twin, methods=["GET"]),
            Route(twin, put_twin, methods=["PUT"]),
            Route(twin, patch_twin, methods=["PATCH"]),
            Route(twin, delete_twin, methods=["DELETE"]),
            Route(f"{twin}/telemetry", telemetry, methods=["POST"]),
            Route(f"{twin}/relationships/{{rid}}", put_link, methods=["PUT"]),
            Route(f"{twin}/relationships", list_links, methods=["GET"]),
            Route("/query", query, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve the file named on the command line and say the endpoint."""
    # asyncio switches Nagle's algorithm off only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    print(json.dumps({"endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    config = uvicorn.Config(app(Path(sys.argv[1])), http="h11", lifespan="off", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
