"""Who is alive behind which switch; sources, members and rings."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.errors import GraphError
from remhart_adt.graph import Topology, load
from remhart_adt.graph.topology import Feed, Node, rings
from remhart_adt.resources import examples_dir


def build(*edges: str, kinds: dict[str, str] | None = None, switches: dict[str, str] | None = None) -> Topology:
    """`build("s>a", "a>b")`: s is a substation unless told otherwise, the rest are lines."""
    kinds = {"s": "substation", **(kinds or {})}
    names = dict.fromkeys(name for edge in edges for name in edge.split(">"))
    nodes = []
    for name in names:
        kind = kinds.get(name, "transmission_line")
        island = kind == "island"
        nodes.append(Node(name, "renewable_source" if island else kind, (switches or {}).get(name), can_island=island))
    feeds = [Feed(f"feedsTo.{edge.split('>')[1]}", *edge.split(">")) for edge in edges]
    return Topology(nodes, feeds, {name: [f"mp-{name}"] for name in names})


def alive(topology: Topology) -> str:
    return "".join(name for name, yes in topology.energized().items() if yes)


def test_everything_behind_an_open_switch_dies_and_comes_back() -> None:
    grid = build("s>t", "t>x", "x>a", "a>b", "t>c", switches={"x": "closed"})
    assert alive(grid) == "stxabc"

    assert grid.set_switch("x", "open", 10) is True
    assert alive(grid) == "stxc", "the open switch itself still has a live terminal"
    assert {key for key, yes in grid.energized_feeds().items() if not yes} == {("x", "feedsTo.a"), ("a", "feedsTo.b")}

    assert grid.set_switch("x", "closed", 20) is True
    assert alive(grid) == "stxabc"
    assert all(grid.energized_feeds().values())


def test_an_older_or_repeated_report_changes_nothing() -> None:
    grid = build("s>x", "x>a", switches={"x": "closed"})
    grid.set_switch("x", "open", 10)

    assert grid.set_switch("x", "closed", 9) is False
    assert grid.set_switch("x", "closed", 10) is False
    assert grid.set_switch("x", "open", 11) is False
    assert alive(grid) == "sx"


def test_a_report_makes_any_component_switchable() -> None:
    grid = build("s>a", "a>b")
    assert grid.switch_of("a") is None

    assert grid.set_switch("a", "open", 1) is True
    assert alive(grid) == "sa"
    assert grid.upstream_switches("b") == ("a",)


def test_unknown_components_and_states_are_refused() -> None:
    grid = build("s>a")
    with pytest.raises(GraphError, match="z is no component"):
        grid.set_switch("z", "open", 1)
    with pytest.raises(GraphError, match="open or closed"):
        grid.set_switch("a", "ajar", 1)
    with pytest.raises(GraphError, match="names z"):
        Topology([Node("a", "meter")], [Feed("f", "a", "z")])


def test_a_ring_is_fed_from_the_side_that_is_closed() -> None:
    grid = build("s>x", "s>y", "x>a", "y>b", "a>t", "t>b", switches={"x": "closed", "y": "closed", "t": "open"})
    grid.set_switch("y", "open", 1)
    assert "b" not in alive(grid)

    grid.set_switch("t", "closed", 2)
    assert "b" in alive(grid)


def test_an_islanding_source_keeps_its_part_alive_another_follows_the_grid() -> None:
    def grid(kind: str) -> Topology:
        return build("s>x", "x>a", "a>b", "p>a", kinds={"p": kind}, switches={"x": "closed"})

    follower, islander = grid("renewable_source"), grid("island")
    assert alive(follower) == alive(islander) == "sxabp"

    follower.set_switch("x", "open", 1)
    islander.set_switch("x", "open", 1)

    assert alive(follower) == "sx"
    assert alive(islander) == "sxabp"


def test_a_follower_behind_its_own_breaker() -> None:
    grid = build("s>a", "p>q", "q>a", kinds={"p": "renewable_source"}, switches={"q": "closed"})
    assert alive(grid) == "sapq"

    grid.set_switch("q", "open", 1)
    assert alive(grid) == "saq", "the breaker's terminal at the line lives, the plant behind it does not"


def test_sources_and_members() -> None:
    grid = build(
        "s>a", "a>b", "r>c", "c>b", "p>c", "i>b", kinds={"r": "substation", "p": "renewable_source", "i": "island"}
    )

    assert grid.sources() == ("r", "s", "i")
    assert {name: grid.source_of(name) for name in "sabrcpi"} == {
        "s": "s", "a": "s", "b": "r", "r": "r", "c": "r", "p": "r", "i": "r",
    }  # fmt: skip
    assert grid.members("s") == ("s", "a")
    assert set(grid.points_under("r")) == {"mp-b", "mp-r", "mp-c", "mp-p", "mp-i"}


def test_behind_an_open_switch_the_source_is_the_one_by_design() -> None:
    grid = build("s>x", "x>a", switches={"x": "closed"})
    grid.set_switch("x", "open", 1)

    assert grid.source_of("a") == "s"
    assert grid.members("s") == ("s", "x", "a")
    assert build("a>b").source_of("b") is None


def test_upstream_and_downstream() -> None:
    grid = build("s>x", "x>a", "a>y", "y>b", switches={"x": "closed", "y": "open"})

    assert grid.upstream_switches("b") == ("y", "x")
    assert grid.upstream_switches("y") == ("x",)
    assert grid.downstream("x") == ("a", "y", "b")


def test_adopt_carries_reported_states_over_a_refresh() -> None:
    old = build("s>x", "x>a", switches={"x": "closed"})
    old.set_switch("x", "open", 10)
    new = build("s>x", "x>a", "a>b", switches={"x": "closed"})

    new.adopt(old)

    assert alive(new) == "sx"
    assert new.set_switch("x", "closed", 10) is False


def test_spec_and_twins_give_the_same_topology() -> None:
    from remhart_adt.graph.plan import new_twin

    spec = load(examples_dir() / "feeder.yaml")
    twins = [{"$dtId": entity.id, **new_twin(entity)} for entity in spec.entities()]
    edges = [
        {"$relationshipId": r.id, "$sourceId": r.source, "$relationshipName": r.name, "$targetId": r.target}
        for r in spec.relationships
    ]
    one, other = Topology.from_spec(spec), Topology.from_twins(twins, edges)

    assert one.nodes == other.nodes
    assert set(one.feeds) == set(other.feeds)
    assert one.points_under("sub-1") == other.points_under("sub-1")
    assert one.points_of("tr-1") == ("mp-tr-1",)


def feeds_of(*edges: str) -> list[Feed]:
    return [Feed(edge, *edge.split(">")) for edge in edges]


@pytest.mark.parametrize(
    ("edges", "opened", "expected"),
    [
        (["a>b", "b>c"], "", []),
        (["a>b", "b>a"], "", [["a", "b", "a"]]),
        (["a>b", "b>a"], "b", []),
        (["a>b", "b>c", "c>a", "c>d"], "", [["a", "b", "c", "a"]]),
        (["a>a"], "", [["a", "a"]]),
        (["a>b", "b>a", "c>d", "d>c"], "a", [["c", "d", "c"]]),
    ],
)
def test_rings(edges: list[str], opened: str, expected: list[list[str]]) -> None:
    assert rings(feeds_of(*edges), set(opened)) == expected


def test_a_chain_of_any_length() -> None:
    chain = [Feed("f", str(i), str(i + 1)) for i in range(50_000)]
    assert rings(chain) == []
    assert len(rings([*chain, Feed("f", "50000", "0")])[0]) == 50_002


EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)


@given(edges=EDGES, opened=st.sets(st.integers(0, 9)))
def test_alive_is_reachability_as_a_plain_search_finds_it(edges: list[tuple[int, int]], opened: set[int]) -> None:
    nodes = [Node(str(i), "substation" if i == 0 else "meter", "open" if i in opened else None) for i in range(10)]
    grid = Topology(nodes, [Feed(f"f{n}", str(a), str(b)) for n, (a, b) in enumerate(edges)])

    reached, before = {0}, set()
    while reached != before:
        before = set(reached)
        reached |= {b for a, b in edges if a in reached and a not in opened}

    assert {int(name) for name, yes in grid.energized().items() if yes} == reached


@given(edges=EDGES, opened=st.sets(st.integers(0, 9)))
def test_a_ring_that_is_named_is_one_and_none_is_missed(edges: list[tuple[int, int]], opened: set[int]) -> None:
    feeds = [Feed(f"f{n}", str(a), str(b)) for n, (a, b) in enumerate(edges)]
    kept = {(str(a), str(b)) for a, b in edges if a not in opened and b not in opened}

    found = rings(feeds, {str(i) for i in opened})

    for ring in found:
        assert ring[0] == ring[-1]
        assert all(pair in kept for pair in pairwise(ring))
    # Taking away nodes without a way in, again and again, leaves something exactly when there is a ring.
    left = set(kept)
    while True:
        targets = {b for _, b in left}
        fewer = {(a, b) for a, b in left if a in targets}
        if fewer == left:
            break
        left = fewer
    assert bool(left) == bool(found)
