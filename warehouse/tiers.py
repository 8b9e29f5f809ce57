"""Who may read which rows: roles, tiers, and the rights by which PostgreSQL enforces them.

Each source's manifest has a tier: open, internal or restricted. Each model of dbt declares in
`meta.tier` whether it is of one tier as a whole, or `source`: each row has the tier of its source,
or `department`: each row is its department's.
The function `access.protect` makes grants and row-level security of that. dbt calls it for each
relation in the transaction that makes it, and the loader for each table of `raw`; a relation that
nobody has declared is read by roles of the restricted tier only.

| declared | who reads |
|---|---|
| `open`, `internal`, `restricted` | roles of that tier or a stricter one read all rows |
| `internal`, with a column `department_id` | heads read their department's rows, too |
| `department`, a table | the same; other roles may ask and get no row, so a page can say so |
| `source`, a table | rows whose source's tier is the role's or a less strict one |
| `source`, a view | what the reader may read of the tables that it selects from |

The source of a row is known by its columns `city_id` and `source_id`; by the table's name
(`raw.<city>__<source>`, `staging.stg_<city>__<source>`); or by the fact that the caller names: its
rows of a city then have the strictest tier of that city's sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg.types.json import Jsonb

from catalog.models import City, Source

Tier = Literal["open", "internal", "restricted"]
#: Schemas that pages and reports read.
_PUBLISHED = ("marts", "reporting")
_WORK = ("raw", "quality", "ml", "staging", "intermediate", *_PUBLISHED)


@dataclass(frozen=True)
class Rights:
    """What a role may read: rows up to a tier, in these schemas.

    `own_department`: and the internal rows of the departments whose role (`department_role`) it
    is a member of.
    """

    tier: Tier
    schemas: tuple[str, ...]
    own_department: bool = False


#: Each is a login of its own and the role that people are members of. `dashboards` is Superset's
#: login for readers without another role.
ROLES: Mapping[str, Rights] = {
    "reader_open": Rights("open", _PUBLISHED),
    "dashboards": Rights("open", _PUBLISHED),
    "department_head": Rights("open", _PUBLISHED, own_department=True),
    "analyst": Rights("internal", _WORK),
    "cio": Rights("internal", ("quality", *_PUBLISHED)),
    "ml_engineer": Rights("restricted", ("ml", *_PUBLISHED)),
    "data_engineer": Rights("restricted", ("stage", *_WORK)),
}

#: Tiers of the control tables, which no model of dbt declares.
CONTROL_TIERS = {
    "quality.quarantine": "source",  # holds rows of the sources
    "quality.loads": "internal",
    "quality.load_reason": "internal",
    "quality.expectation_results": "internal",
    "quality.dbt_results": "internal",
    "quality.progress": "internal",
    # Hashes of texts: a short text of a restricted source can be guessed by its hash.
    "ml.feedback_score": "restricted",
    "ml.champion": "internal",
    "ml.voice_relation": "internal",
}

ACCESS_SCHEMA = """
create schema if not exists access;

create table if not exists access.role (
    role_name text primary key,
    tier text not null check (tier in ('open', 'internal', 'restricted')),
    schemas text[] not null,
    own_department boolean not null
);

-- Tiers of the sources, from their manifests. Policies read it, so a change holds at once.
create table if not exists access.source (
    city_id text not null,
    source_id text not null,
    department_id text not null,
    fact text,                                  -- what the source feeds
    tier text not null check (tier in ('open', 'internal', 'restricted')),
    primary key (city_id, source_id)
);

-- What each relation was declared as, and what its rights were then.
create table if not exists access.relation (
    schema_name text not null,
    relation_name text not null,
    tier text not null,
    fact text,
    columns jsonb not null default '{}',        -- {column: tier} of columns stricter than their row
    spec text not null default '',
    rights text not null default '',            -- access.rights() of the relation
    primary key (schema_name, relation_name)
);

-- When each table was built, and when who may read what changed: what is kept of answers is dropped
-- then. See infra/local/superset/readers.py.
create table if not exists access.built (
    relation text primary key,                  -- schema.name, or `rights`
    built_at timestamp with time zone not null
);

-- dbt calls it in the transaction that makes a relation. A view follows what it reads, unbuilt.
create or replace function access.note_built(made regclass) returns void
language sql as $$
    insert into access.built
    select n.nspname || '.' || c.relname, clock_timestamp()
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = made and c.relkind in ('r', 'p')
    on conflict (relation) do update set built_at = excluded.built_at
$$;

create or replace function access.note_rights() returns trigger
language plpgsql as $$
begin
    insert into access.built values ('rights', clock_timestamp())
    on conflict (relation) do update set built_at = excluded.built_at;
    return null;
end
$$;
create or replace trigger note_rights after insert or update or delete on access.source
for each row execute function access.note_rights();
-- Not of a table that is built again with the rights that it had.
create or replace trigger note_rights after update on access.relation
for each row when (old.spec is distinct from new.spec) execute function access.note_rights();
create or replace trigger note_rights after insert or update or delete on access.role
for each row execute function access.note_rights();

-- Opens a query as the cursor `answer`, for readers whose text nobody looks through: of several
-- statements, or of one that returns no rows, PostgreSQL makes no cursor. So a reader's text cannot
-- end the transaction, which only reads, nor set or change anything that outlives it.
create or replace function access.open_query(query text) returns void
language plpgsql
-- All rows are read, not a first few.
set cursor_tuple_fraction = 1
as $$
declare
    answer refcursor := 'answer';
begin
    if exists (select from pg_cursors where name = 'answer') then
        close answer;
    end if;
    open answer for execute query;
end
$$;

-- The departments that the current role is head of.
create or replace view access.my_department as
select split_part(substr(rolname, 6), '__', 1) as city_id,
       split_part(substr(rolname, 6), '__', 2) as department_id
from pg_roles
where rolname ~ '^head_.+__.+' and pg_has_role(current_user, oid, 'usage');

create or replace function access.rank(tier text) returns integer
language sql immutable as $$
    select array_position(array['open', 'internal', 'restricted'], tier)
$$;

-- Writes a line of the server's log, with the session's login and the statement, and lets rows
-- pass: the policy of restricted readers asks it once for each relation that a query scans, however
-- the query came to scan it. See warehouse/access_log.py.
create or replace function access.note_read(relation text) returns boolean
language plpgsql stable parallel safe as $$
begin
    raise log 'cityloom: read of %', relation;
    return true;
end
$$;

-- A hash of who may read what of a relation.
create or replace function access.rights(relation regclass) returns text
language sql stable as $$
    select md5(concat_ws(
        e'\\n', relrowsecurity::text, array_to_string(reloptions, ','),
        (select string_agg(acl::text, ',' order by acl::text) from unnest(relacl) acl),
        (select string_agg(attname || acl::text, ',' order by attname, acl::text)
         from pg_attribute, unnest(attacl) acl where attrelid = c.oid),
        (select string_agg(concat_ws(' ', polname, polcmd, polpermissive,
             (select string_agg(role::regrole::text, ',' order by role::regrole::text)
              from unnest(polroles) role),
             pg_get_expr(polqual, polrelid)), ',' order by polname)
         from pg_policy where polrelid = c.oid)
    ))
    from pg_class c where c.oid = relation
$$;

create or replace function access.protect(
    relation regclass, declared text, fact_name text default null, columns jsonb default '{}'
) returns void
language plpgsql as $$
declare
    place record;
    wanted text;
    declared_as text;
    source_key text;
    has_department boolean;
    by_department boolean := false;
    asked_by_all boolean := false;
    open_rows text := 'true';
    internal_rows text := 'true';
    own_rows text;
    restricted_rows text := 'true';
    holds_restricted boolean;
    grantee text;
    reader record;
    readable text;
begin
    select n.nspname as schema, c.relname as name, c.relkind as kind,
           c.relkind in ('r', 'p') as is_table into strict place
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = relation;
    declared := coalesce(declared, 'restricted');
    columns := coalesce(columns, '{}');
    if declared not in ('open', 'internal', 'restricted', 'source', 'department') then
        raise exception '%: tier is %; write open, internal, restricted, source or department',
                        relation, declared;
    end if;
    declared_as := declared;
    has_department := 2 = (select count(*) from pg_attribute where attrelid = relation
                           and attname in ('city_id', 'department_id') and not attisdropped);
    if declared = 'department' then
        if not (has_department and place.is_table) then
            raise exception '%: tier is department, which a table with the columns city_id and '
                            'department_id may have; write internal', relation;
        end if;
        declared := 'internal';
        asked_by_all := true;
        open_rows := 'false';
    end if;
    source_key := case
        when place.schema in ('raw', 'stage') then place.name
        when place.schema = 'staging' and place.name like 'stg\\_%\\_\\_%'
            then substr(place.name, 5)
    end;
    -- Whether restricted rows may be in it: of one that says neither source nor fact, they may.
    holds_restricted := case declared
        when 'restricted' then true
        when 'source' then exists (
            select from access.source s where s.tier = 'restricted' and case
                when source_key is not null then s.city_id || '__' || s.source_id = source_key
                when fact_name is not null then s.fact = fact_name
                else true end)
        else false end;
    wanted := md5(concat_ws('|', declared_as, fact_name, columns::text, holds_restricted::text,
        (select string_agg(r::text, ',' order by role_name) from access.role r), '2'));
    if exists (select from access.relation r
               where r.schema_name = place.schema and r.relation_name = place.name
                 and r.spec = wanted and r.rights = access.rights(relation)) then
        return;
    end if;

    if declared = 'source' and place.is_table then
        by_department := true;
        if source_key is not null then
            open_rows := format('exists (select from access.source s where '
                's.city_id || ''__'' || s.source_id = %L and s.tier = ''open'')', source_key);
            internal_rows := format('exists (select from access.source s where '
                's.city_id || ''__'' || s.source_id = %L and s.tier <> ''restricted'')',
                source_key);
            by_department := false;
        elsif 2 = (select count(*) from pg_attribute where attrelid = relation
                   and attname in ('city_id', 'source_id') and not attisdropped) then
            open_rows := '(city_id, source_id) in (select s.city_id, s.source_id '
                'from access.source s where s.tier = ''open'')';
            internal_rows := '(city_id, source_id) in (select s.city_id, s.source_id '
                'from access.source s where s.tier <> ''restricted'')';
            own_rows := '(city_id, source_id) in (select s.city_id, s.source_id '
                'from access.source s join access.my_department d using (city_id, department_id) '
                'where s.tier <> ''restricted'')';
        elsif fact_name is not null and exists (
                select from pg_attribute where attrelid = relation and attname = 'city_id') then
            open_rows := format('city_id in (select s.city_id from access.source s '
                'where s.fact = %L group by s.city_id having bool_and(s.tier = ''open''))',
                fact_name);
            internal_rows := format('city_id in (select s.city_id from access.source s '
                'where s.fact = %L group by s.city_id having bool_and(s.tier <> ''restricted''))',
                fact_name);
            own_rows := format('city_id in (select s.city_id from access.source s '
                'left join access.my_department d using (city_id, department_id) '
                'where s.fact = %L group by s.city_id '
                'having bool_and(s.tier <> ''restricted'' and d.city_id is not null))', fact_name);
        else  -- nothing says whose its rows are
            declared := 'restricted';
            by_department := false;
        end if;
    end if;
    if has_department and place.is_table and declared in ('source', 'internal') then
        by_department := true;
        own_rows := format('(city_id, department_id) in (select d.city_id, d.department_id '
                           'from access.my_department d) and %s', internal_rows);
    end if;

    for grantee in
        select distinct case when a.grantee = 0 then 'public'
                             else quote_ident(pg_get_userbyid(a.grantee)) end
        from pg_class c
        cross join lateral (
            select e.grantee from aclexplode(c.relacl) e
            union all
            select e.grantee from pg_attribute t, aclexplode(t.attacl) e where t.attrelid = c.oid
        ) a
        where c.oid = relation and a.grantee <> c.relowner
    loop
        execute format('revoke all on %s from %s', relation, grantee);
    end loop;
    for reader in select polname as name from pg_policy where polrelid = relation loop
        execute format('drop policy %I on %s', reader.name, relation);
    end loop;

    for reader in
        select r.role_name, case when r.own_department and by_department then 'internal'
                                 else r.tier end as tier
        from access.role r
        where place.schema = any(r.schemas)
          and (declared = 'source' or asked_by_all
               or access.rank(declared) <= access.rank(r.tier)
               or (r.own_department and by_department))
        order by 1
    loop
        if exists (select from jsonb_each_text(columns) as c(name, tier)
                   where access.rank(c.tier) > access.rank(reader.tier)) then
            select string_agg(quote_ident(attname), ', ' order by attnum) into readable
            from pg_attribute
            where attrelid = relation and attnum > 0 and not attisdropped
              and access.rank(coalesce(columns ->> attname::text, 'open'))
                  <= access.rank(reader.tier);
            execute format('grant select (%s) on %s to %I', readable, relation, reader.role_name);
        else
            execute format('grant select on %s to %I', relation, reader.role_name);
        end if;
    end loop;

    if holds_restricted or declared = 'restricted' then
        restricted_rows := format('(select access.note_read(%L))',
                                  place.schema || '.' || place.name);
    end if;
    if place.is_table then
        if declared in ('source', 'restricted') or by_department then
            execute format('alter table %s enable row level security', relation);
            for reader in
                select tier, string_agg(quote_ident(role_name), ', ' order by role_name) as names
                from access.role
                where case declared when 'source' then true when 'restricted' then tier = declared
                                    else not own_department end
                group by tier
            loop
                execute format('create policy %I on %s for select to %s using (%s)',
                    'tier_' || reader.tier, relation, reader.names,
                    case reader.tier when 'open' then open_rows when 'internal' then internal_rows
                                     else restricted_rows end);
            end loop;
            if own_rows is not null then
                for reader in select role_name from access.role where own_department loop
                    execute format('create policy own_department on %s for select to %I using (%s)',
                                   relation, reader.role_name, own_rows);
                end loop;
            end if;
        else
            execute format('alter table %s disable row level security', relation);
        end if;
    elsif place.kind = 'v' then
        execute format('alter view %s set (security_invoker = %s, security_barrier = %s)',
                       relation, declared = 'source', declared <> 'source');
    end if;
    insert into access.relation as known
    values (place.schema, place.name, declared_as, fact_name, columns, wanted,
            access.rights(relation))
    on conflict (schema_name, relation_name) do update
    set tier = excluded.tier, fact = excluded.fact, columns = excluded.columns,
        spec = excluded.spec, rights = excluded.rights;
end
$$;
"""

#: Protects anew what was declared, and what was not as restricted.
_PROTECT_ALL = """
select access.protect(c.oid::regclass, coalesce(r.tier, 'restricted'), r.fact, r.columns)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join access.relation r on r.schema_name = n.nspname and r.relation_name = c.relname
where n.nspname = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

_FAULTS = """
select format('%%s may read or change %%s.%%s otherwise than its tier says', readers,
              nspname, relname)
from (
  select n.nspname, c.relname, r.rights is distinct from access.rights(c.oid) as differs,
         (select string_agg(distinct a.grantee::regrole::text, ', ')
          from aclexplode(c.relacl) a
          where a.grantee <> c.relowner
            and (r.rights is not null or a.grantee <> 'data_engineer'::regrole)) as readers,
         r.rights is not null as known
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join access.relation r on r.schema_name = n.nspname and r.relation_name = c.relname
  where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
) as found
where case when known then differs else readers is not null end
order by 1
"""


def stricter_tiers(role: str) -> list[str]:
    """Return the tiers of which a role reads no rows; a role that is not known reads open ones."""
    tiers = ("open", "internal", "restricted")
    known = ROLES.get(role)
    return list(tiers[tiers.index(known.tier if known else "open") + 1 :])


def department_role(city_id: str, department_id: str) -> str:
    """Return the role of a department's head; its name says which department (`my_department`)."""
    return f"head_{city_id}__{department_id}"


def create_access(connection: psycopg.Connection, schemas: Iterable[str]) -> None:
    """Make the schema `access`, and set what each role may read in `schemas`; repeatable.

    `connection` is of the role `warehouse`; the roles of `ROLES` and the control tables exist.
    """
    connection.execute(ACCESS_SCHEMA)
    connection.execute("revoke all on all functions in schema access from public")
    connection.execute("delete from access.role")
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into access.role values (%s, %s, %s, %s)",
            [
                (name, rights.tier, list(rights.schemas), rights.own_department)
                for name, rights in ROLES.items()
            ],
        )
    for role, rights in ROLES.items():
        connection.execute(f"revoke all on schema access from {role}")
        connection.execute(f"grant usage on schema access to {role}")
        connection.execute(f"revoke all on all tables in schema access from {role}")
        connection.execute(
            f"grant select on access.source, access.built, access.my_department to {role}"
        )
        connection.execute(f"grant execute on function access.open_query to {role}")
        if rights.tier == "restricted":
            connection.execute(f"grant execute on function access.note_read to {role}")
        for schema in schemas:
            connection.execute(f"revoke all on schema {schema} from {role}")
            default = f"alter default privileges in schema {schema}"
            connection.execute(f"{default} revoke all on tables from {role}")
            if schema in rights.schemas:
                connection.execute(f"grant usage on schema {schema} to {role}")
                if role == "data_engineer":
                    connection.execute(f"{default} grant select on tables to {role}")
    for table, tier in CONTROL_TIERS.items():
        protect(connection, table, tier)
    connection.execute(_PROTECT_ALL, [list(schemas)])


def protect(connection: psycopg.Connection, relation: str, tier: str) -> None:
    """Give a relation (`schema.name`) the rights of a tier, or of its rows' sources (`source`)."""
    connection.execute("select access.protect(%s::regclass, %s)", [relation, tier])


def declare_sources(connection: psycopg.Connection, sources: Iterable[Source]) -> None:
    """Keep the tiers of sources, as their manifests have them, for the policies to read."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into access.source as known values (%s, %s, %s, %s, %s)
            on conflict (city_id, source_id) do update
            set department_id = excluded.department_id, fact = excluded.fact, tier = excluded.tier
            where (known.department_id, known.fact, known.tier)
                  is distinct from (excluded.department_id, excluded.fact, excluded.tier)
            """,
            [
                (source.city_id, source.source, source.department, source.feeds, source.tier)
                for source in sources
            ],
        )


def declare_cities(warehouse_url: str, cities: Iterable[City]) -> None:
    """Keep the tiers of all sources of these cities; see `declare_sources`."""
    with psycopg.connect(warehouse_url) as connection:
        declare_sources(connection, [source for city in cities for source in city.sources])


def find_access_faults(connection: psycopg.Connection, schemas: Iterable[str]) -> list[str]:
    """Return where roles' rights differ from what was declared, as sentences."""
    wanted = {
        role: {schema: schema in rights.schemas for schema in schemas}
        for role, rights in ROLES.items()
    }
    faults = connection.execute(
        """
        select format('%%s %%s schema %%s', role, case when may::boolean then 'may not read'
                                                       else 'reads' end, schema)
        from jsonb_each(%s) as r(role, rights), jsonb_each_text(rights) as s(schema, may)
        where may::boolean <> has_schema_privilege(role, schema, 'usage')
           or has_schema_privilege(role, schema, 'create')
        union all
        select format('%%s may read tables to come in schema %%s', a.grantee::regrole, n.nspname)
        from pg_default_acl d
        join pg_namespace n on n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
        where n.nspname = any(%s) and d.defaclobjtype = 'r'
          and a.grantee::regrole::text not in ('warehouse', 'data_engineer')
        order by 1
        """,
        [Jsonb(wanted), list(schemas)],
    ).fetchall()
    faults += connection.execute(_FAULTS, {"schemas": list(schemas)}).fetchall()
    return [text for (text,) in faults]
