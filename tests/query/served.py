"""The same pairs at the server's door: POST /query page after page, over a real store, against the naive evaluator."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from types import TracebackType
from typing import Any

import orjson
from generate import EXTENDS, MODELS, Generator
from oracle import Graph, rows
from pairs import explained, multiset, written

from remhart_adt.local.adt.assembly import MEMORY, Options, build_instance
from remhart_adt.local.adt.queries import run_query
from remhart_adt.local.adt.types import Request
from remhart_adt.query import ast, format_query

CONTEXT = "dtmi:dtdl:context;3"


class Served:
    """An instance with the models of the pairs; a context manager."""

    def __enter__(self) -> Served:
        self._runner = asyncio.Runner()
        self._instance = self._runner.run(self._built())
        self._held: Graph | None = None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self._instance.close())
        self._runner.close()

    async def _built(self) -> Any:
        instance = build_instance("pairs", MEMORY, Options(seed=1))
        models = [
            {"@context": CONTEXT, "@id": one, "@type": "Interface", "extends": EXTENDS.get(one)} for one in MODELS
        ]
        instance.catalog.upload([{k: v for k, v in one.items() if v is not None} for one in models], instance.ticker)
        await instance.store.committed()
        return instance

    def check(self, seed: int, number: int) -> str | None:
        """What is wrong with a pair, or None."""
        generator = Generator(f"{seed}:{number}")
        graph = generator.graph()
        query = generator.query(graph)
        size = generator.rng.choice((1, 2, 3, 7, 1000))
        # As the server reads numbers, whose integers have 64 bits.
        graph = Graph(
            *(list(map(orjson.loads, map(written, docs))) for docs in (graph.twins, graph.relationships)), graph.models
        )
        wanted, found = multiset(rows(query, graph)), []
        pages = self.pages(graph, format_query(query), size)
        for page in pages:
            found += page
        said = explained("rows differ at the door", format_query(query), graph, wanted, found)
        if isinstance(query.select, ast.Count):
            return None if multiset(found) == wanted and len(pages) == 1 else said
        most = len(wanted) if query.top is None else min(query.top, len(wanted))
        if len(found) != most or Counter(multiset(found)) - Counter(wanted):
            return said
        if any(len(page) != size for page in pages[:-1]) or len(pages[-1]) > size:
            return f"pages of {list(map(len, pages))} instead of {size}\n{said}"
        return None

    def pages(self, graph: Graph, text: str, size: int) -> list[list[Any]]:
        """Every page of a query over a graph; raises `AdtError` when it is refused."""
        return self._runner.run(self._pages(graph, text, size))

    async def _pages(self, graph: Graph, text: str, size: int) -> list[list[Any]]:
        await self._fill(graph)
        pages: list[list[Any]] = []
        body: dict[str, Any] = {"query": text}
        while True:
            headers = {b"max-items-per-page": str(size).encode()}
            request = Request("POST", "/query", ("query",), {}, headers, orjson.dumps(body), "", "2023-10-31")
            answer = json.loads((await run_query(self._instance, request)).body or b"")
            pages.append(answer["value"])
            if answer["continuationToken"] is None:
                return pages
            body = {"continuationToken": answer["continuationToken"]}

    async def _fill(self, graph: Graph) -> None:
        if graph is self._held:
            return
        self._held = graph
        store = self._instance.store
        for table in ("twins", "relationships"):
            store.write(f"DELETE FROM {table}")
        twins = [(one["$dtId"], one["$metadata"]["$model"], "e", written(one)) for one in graph.twins]
        store.write_many("INSERT INTO twins(id, model, etag, doc) VALUES(?,?,?,?)", twins)
        names = ("$relationshipId", "$sourceId", "$relationshipName", "$targetId")
        links = [(*(one[name] for name in names), "e", written(one)) for one in graph.relationships]
        columns = "id, source, name, target, etag, doc"
        store.write_many(f"INSERT INTO relationships({columns}) VALUES(?,?,?,?,?,?)", links)
        await store.committed()
