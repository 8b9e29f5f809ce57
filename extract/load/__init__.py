"""The one loader that owns `stage` and `raw`.

`stage` reads a source and writes what is new or changed to `stage.<city>__<source>`; the gate
checks it there and moves rows that fail with `quarantine_rows`; `commit` appends the rest to `raw`
in one transaction, `block` drops it. A load that fails leaves nothing but its record in
`quality.loads`.

| module | holds |
|---|---|
| `staging` | one load from the connector to the stage table |
| `ingest` | writing Arrow batches to the stage table by ADBC |
| `history` | which rows are new or changed beside `raw`, and which of a load's duplicates count |
| `quarantine` | moving rows to `quality.quarantine` |
| `promote` | `commit` and `block` |
| `ledger` | `quality.loads`, and the lock of a source |
| `raw_tables` | raw tables as their manifests say; widening of types |
| `tables` | the SQL of raw and stage tables |
"""

from extract.load.ledger import LoadError, LoadReport
from extract.load.promote import block, commit
from extract.load.quarantine import SUPERSEDED, quarantine_rows
from extract.load.raw_tables import ensure_raw_table, ensure_raw_tables
from extract.load.staging import stage

__all__ = [
    "SUPERSEDED",
    "LoadError",
    "LoadReport",
    "block",
    "commit",
    "ensure_raw_table",
    "ensure_raw_tables",
    "quarantine_rows",
    "stage",
]
