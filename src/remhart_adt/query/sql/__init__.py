"""An AST compiled to SQL over SQLite: the documents stay JSON text, and SQLite's JSON functions look into them.

`values` reads a path, `conditions` compares, `graph` walks from twin to twin, `chains` walks several hops,
`candidates` finds what an index can serve, `statement` puts it together, `rows` shapes what comes back.

The tables are `twins(n, id, model, doc)` and `relationships(n, id, source, name, target, doc)`; `n` numbers the rows
and is never used again, so that a page can go on after the last row of the one before, whatever has changed since.
"""

from remhart_adt.query.sql.candidates import Candidate, candidates, probe
from remhart_adt.query.sql.conditions import ModelsOf
from remhart_adt.query.sql.rows import Key, Output, Statement, outputs, project
from remhart_adt.query.sql.statement import to_sql

__all__ = [
    "Candidate",
    "Key",
    "ModelsOf",
    "Output",
    "Statement",
    "candidates",
    "outputs",
    "probe",
    "project",
    "to_sql",
]
