"""Schemas and control tables of the warehouse, made and kept by the role `warehouse`.

| schema | holds | written by |
|---|---|---|
| `stage` | one unlogged table a load under way | extract |
| `raw` | every version of every accepted row | extract |
| `quality` | loads, quarantine, expectation and dbt outcomes | extract, expectations, warehouse |
| `ml` | scores of feedback by model version | ml |
| `staging`, `intermediate`, `marts`, `reporting` | dbt's models | dbt |

The schema `access` says who may read them: `warehouse.tiers`.
"""

from __future__ import annotations

import psycopg

from warehouse.reasons import Reason
from warehouse.tiers import create_access, find_access_faults

SCHEMAS = (
    "stage",
    "raw",
    "quality",
    "ml",
    "staging",
    "intermediate",
    "marts",
    "reporting",
)

CONTROL_TABLES = """
-- What each code in quality.loads.reason_code means; see warehouse.reasons.
create table if not exists quality.load_reason (
    reason_code text primary key,
    reason text not null                        -- one sentence, without values of the source
);

create table if not exists quality.loads (
    load_id bigint generated always as identity primary key,
    city_id text not null,
    source_id text not null,
    run_id text not null default '',            -- Airflow's DAG run, or 'cli'
    mode text not null check (mode in ('read', 'snapshot')),
    -- staging -> staged -> accepted | unchanged | blocked; failed from anywhere
    state text not null check (
        state in ('staging', 'staged', 'accepted', 'unchanged', 'blocked', 'failed')
    ),
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    rows_read bigint not null default 0,
    rows_accepted bigint not null default 0,    -- appended to raw = rows_new + rows_changed
    rows_new bigint not null default 0,
    rows_changed bigint not null default 0,
    rows_unchanged bigint not null default 0,
    rows_quarantined bigint not null default 0,
    cursor_before text,
    cursor_after text,
    files jsonb not null default '[]',          -- [{path, sha256, bytes, rows, columns}]
    message text,                               -- why it was blocked or failed, with the remedy
    data_docs text,                             -- path of the gate's HTML report
    reason_code text references quality.load_reason  -- why it was blocked or failed; else null
);
alter table quality.loads
    add column if not exists reason_code text references quality.load_reason;
create index if not exists loads_by_source on quality.loads (city_id, source_id, load_id desc);

create table if not exists quality.quarantine (
    quarantine_id bigint generated always as identity primary key,
    city_id text not null,
    source_id text not null,
    load_id bigint not null references quality.loads,       -- the first load that read the row
    last_load_id bigint not null references quality.loads,  -- the newest load that read it
    reasons text[] not null,
    source_file text,
    source_row bigint,
    row_hash text not null,
    record jsonb not null,                                  -- the row as read, redacted
    unique (city_id, source_id, row_hash, source_file, source_row)
);

create table if not exists quality.expectation_results (
    load_id bigint not null references quality.loads,
    expectation text not null,
    column_name text not null default '',
    severity text not null,
    success boolean not null,
    unexpected_rows bigint,
    observed text,
    primary key (load_id, expectation, column_name)
);

create table if not exists quality.dbt_results (
    invocation_id text not null,
    node_id text not null,
    resource_type text not null,
    name text not null,
    status text not null,
    rows_affected bigint,
    seconds double precision not null,
    failures bigint,
    message text,
    run_id text not null default '',
    completed_at timestamptz not null,
    primary key (invocation_id, node_id)
);
create index if not exists dbt_results_by_time on quality.dbt_results (completed_at desc);

-- What marts, scores and reports include; see warehouse.progress.
create table if not exists quality.progress (
    step text primary key check (step in ('build', 'score', 'publish')),
    mark jsonb not null,                        -- {source or model: newest load or version}
    run_id text not null default '',
    advanced_at timestamptz not null
);

create table if not exists ml.feedback_score (
    city_id text not null,
    feedback_id text not null,
    model_name text not null,
    model_version integer not null,
    text_hash text not null,                    -- a corrected comment is scored again
    sentiment text not null check (sentiment in ('negative', 'neutral', 'positive')),
    probability double precision not null,
    p_negative double precision not null,
    p_neutral double precision not null,
    p_positive double precision not null,
    scored_at timestamptz not null default clock_timestamp(),
    primary key (city_id, feedback_id, model_name, model_version)
);

create table if not exists ml.champion (
    model_name text primary key,
    model_version integer not null,             -- written when the alias moves in MLflow
    promoted_at timestamptz not null default clock_timestamp(),
    reason text not null default ''             -- its net and macro recall, and why it was chosen
);
alter table ml.champion add column if not exists reason text not null default '';

-- How work and residents' voice move together; see ml.relations.
create table if not exists ml.voice_relation (
    city_id text not null,
    work_metric_id text not null,
    voice_metric_id text not null,
    lag_months integer not null,                -- months by which voice follows work
    n bigint not null,                          -- district-months
    n_districts bigint not null,
    n_months bigint not null,
    coefficient double precision,               -- of voice for one unit more of work
    low double precision,
    high double precision,
    correlation double precision,
    p_value double precision,
    q_value double precision,                   -- adjusted for n_tests looks
    n_tests bigint not null,
    null_reason text check (null_reason in ('too_few', 'constant')),
    primary key (city_id, work_metric_id, voice_metric_id, lag_months)
);
"""


def create_schemas(warehouse_url: str) -> None:
    """Create schemas and control tables where missing, and set what roles may read.

    `warehouse_url` logs in as the owner role `warehouse`. The roles of `warehouse.tiers` must
    exist; they lose every right in these schemas that their tier does not give.
    """
    with psycopg.connect(warehouse_url) as connection:
        # Concurrent starters queue here instead of racing on "if not exists".
        connection.execute("select pg_advisory_xact_lock(hashtext('cityloom.schema'))")
        for schema in SCHEMAS:
            connection.execute(f"create schema if not exists {schema}")
        connection.execute(CONTROL_TABLES)
        create_access(connection, SCHEMAS)
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                insert into quality.load_reason (reason_code, reason) values (%s, %s)
                on conflict (reason_code) do update set reason = excluded.reason
                """,
                [(reason.value, reason.sentence) for reason in Reason],
            )


def find_grant_faults(connection: psycopg.Connection) -> list[str]:
    """Return where roles' rights differ from their tiers, as sentences; for role `warehouse`."""
    return find_access_faults(connection, SCHEMAS)
