"""Roles and databases on a PostgreSQL server, made where missing and brought to the same state.

| role | may |
|---|---|
| `warehouse`, `airflow`, `mlflow`, `superset` | own and enter the database of its name only |
| the roles of `warehouse.tiers` | log in to `warehouse` and read what their tier allows |

PostgreSQL lets every role change its own password and session defaults, and nothing can forbid
it. So `find_faults` compares what the roles are with what they should be; `bootstrap` restores it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from warehouse.schema import find_grant_faults
from warehouse.tiers import ROLES

OWNERS = ("warehouse", "airflow", "mlflow", "superset")
READERS = tuple(ROLES)
#: The comment on each role: names like `airflow` may be another program's on a shared server.
MARK = "made by Cityloom"

#: Sessions that a reader may hold at once, so that the loader always finds a connection.
READER_CONNECTIONS = 40
#: Defaults of a reader's session. One that holds a transaction open keeps dbt from replacing the
#: tables that it read, so none lasts. `transaction_timeout` needs PostgreSQL 17.
READER_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "10min",
    "lock_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min",
    "transaction_timeout": "20min",
    "idle_session_timeout": "1h",
}
#: What only a superuser may set, for a role too, so that its owner cannot override it: a sort of
#: everything would else fill the disk, for each process of a session; and what its statements
#: get wrong the server's log, for it holds the texts that they wrote.
READER_LIMITS = {"temp_file_limit": "4GB", "log_min_messages": "fatal"}
#: Of a role that reads restricted rows: the server's log has each statement and its role.
RESTRICTED_LIMITS = READER_LIMITS | {"log_statement": "all", "log_min_messages": "warning"}
#: Logins of people and of departments' heads, and the reader's role that each is a member of;
#: whether it may act as that role (before PostgreSQL 16 a member always may).
_MEMBERS = f"""
select person.rolname, reader.rolname,
       coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) as may_act
from pg_auth_members m
join pg_roles person on person.oid = m.member
join pg_roles reader on reader.oid = m.roleid
where reader.rolname = any(%s) and person.rolname <> all(%s)
  and shobj_description(person.oid, 'pg_authid') like '%%{MARK}'
order by 1, 2
"""
#: Functions by which a reader could leave large objects behind, hold the lock of a load, write to
#: the WAL, run a text as SQL in a page's expression, or watch, signal and end others' sessions.
#: What others run, and how often a table was scanned, tells of rows that a policy hides; a query
#: planted in a dataset could tell by them what its reader saw: by its transactions' numbers, too.
#: PostgreSQL grants them to everybody; here only each database's owner has them.
OWNER_FUNCTIONS = r"""
select p.oid::regprocedure::text from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and p.oid::regprocedure::text ~ '^((lo_|pg_(try_)?advisory_|pg_stat_(get|reset)_)|('
      'loread|lowrite|pg_logical_emit_message|pg_notify|pg_(cancel|terminate)_backend'
      '|pg_stat_(reset|have_stats)|pg_lock_status|pg_blocking_pids|ts_stat'
      '|(query|table|cursor|schema|database)_to_xml(schema|_and_xmlschema)?'
      '|pg_sleep(_for|_until)?|txid_\w+|pg_(current_xact_id|xact_status|visible_in_snapshot)\w*'
      '|pg_(current|export)_snapshot|pg_snapshot_x\w+)\('
      '|ts_rewrite\(tsquery,text\)$)'
  and has_function_privilege('public', p.oid, 'execute')
order by 1
"""

#: Functions that PostgreSQL may apply to a row before the policy that hides it, and whose
#: statistics it may use for a plan: by `explain analyze`, or by the rows that a plan expects, a
#: reader could find hidden texts by halving. Not leakproof, they come after the policy.
LEAKPROOF_FUNCTIONS = """
select p.oid::regprocedure::text from pg_proc p where p.proleakproof order by 1
"""


class BootstrapError(Exception):
    """The server's login may not make roles or databases; names what is missing."""


@dataclass(frozen=True)
class Fault:
    """Something about roles or databases that is not as it should be.

    `needs_superuser`: a login with CREATEROLE and CREATEDB cannot restore it.
    """

    text: str
    needs_superuser: bool = False


def bootstrap(admin_url: str, passwords: Mapping[str, str], *, own_server: bool = False) -> None:
    """Make the roles and databases on a server; safe to repeat and to run concurrently.

    `admin_url` logs in as a superuser, or as a role with CREATEROLE and CREATEDB, to any database.
    `passwords` has one entry for each of `OWNERS` and `READERS`; they are sent as SCRAM verifiers,
    so that no server log holds one. Roles that Cityloom did not make are left alone, unless it is
    Cityloom's `own_server`. What only a superuser may do is left out for another login;
    `find_faults` names it. Raises `BootstrapError`.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("set lock_timeout = '1min'")
        connection.execute("select pg_advisory_lock(hashtext('cityloom.bootstrap'))")
        superuser = check_rights(connection)
        if own_server:  # no service uses its other databases; a reader could lock and store there
            connection.execute("revoke all on database postgres, template1 from public")
            connection.execute("select pg_reload_conf()")  # what a new version writes to the log
        else:
            _refuse_foreign_objects(connection)
        for role in (*OWNERS, *READERS):
            _ensure_role(connection, role, passwords[role], superuser, superuser and own_server)
        for role in OWNERS:
            _ensure_database(connection, role, superuser)
        connection.execute(
            sql.SQL("grant connect on database warehouse to {}").format(_names(READERS))
        )
        for member, group, may_act in _members(connection):
            if may_act and may_forbid_acting(connection):
                grant_role(connection, group, member)
    for role in OWNERS:
        # As its owner: on an external server the admin may not touch another's schema.
        with psycopg.connect(role_url(admin_url, role, passwords[role])) as connection:
            connection.execute("revoke create on schema public from public")
    if superuser:
        for role in OWNERS:
            database = urlunsplit(urlsplit(admin_url)._replace(path=f"/{role}"))
            with psycopg.connect(database) as connection:
                for (function,) in connection.execute(OWNER_FUNCTIONS).fetchall():
                    connection.execute(f"grant execute on function {function} to {role}")
                    connection.execute(f"revoke execute on function {function} from public")
                if role == "warehouse":
                    found = connection.execute(LEAKPROOF_FUNCTIONS).fetchall()
                    connection.execute(
                        ";".join(f"alter routine {function} not leakproof" for (function,) in found)
                    )


def find_faults(url: Callable[[Any], str]) -> list[Fault]:
    """Return what of roles, databases and grants is not as `bootstrap` and `warehouse.schema` say.

    `url` returns a role's URL. Logs in as each role once; needs no other login. Raises
    `psycopg.OperationalError` when no server answers.
    """
    faults: list[Fault] = []
    for role in (*OWNERS, *READERS):
        try:
            connection = psycopg.connect(url(role), connect_timeout=10)
        except psycopg.OperationalError as error:
            _, refused, reason = str(error).rpartition("FATAL:")
            if not refused:
                raise
            if "too many connections" not in reason and "connection slots" not in reason:
                faults.append(Fault(f"{role} cannot log in: {reason.strip()}"))
            continue
        with connection:
            if role in OWNERS:
                faults += _database_faults(connection, role)
            if role == "warehouse":
                faults += _role_faults(connection)
                faults += [Fault(text) for text in find_grant_faults(connection)]
    return faults


def role_url(admin_url: str, role: str, password: str, database: str | None = None) -> str:
    """Return the URL of a role on the same server, on the database of its name by default."""
    parts = urlsplit(admin_url)
    address = parts.netloc.rpartition("@")[2]
    if database is None:
        database = "warehouse" if role in READERS else role
    login = f"{role}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{address}", path=f"/{database}"))


def check_rights(connection: psycopg.Connection) -> bool:
    """Return whether the login is a superuser; raise `BootstrapError` when it may too little."""
    ((name, superuser, suffices),) = connection.execute(
        "select rolname, rolsuper, rolsuper or (rolcreaterole and rolcreatedb) "
        "from pg_roles where rolname = current_user"
    ).fetchall()
    if not suffices:
        raise BootstrapError(
            f"{name} may not make roles and databases on this server; let its administrator run "
            f"`alter role {name} createrole createdb`"
        )
    return superuser


def _refuse_foreign_objects(connection: psycopg.Connection) -> None:
    """Raise `BootstrapError` before another program's password is changed, or its tables."""
    unmarked = connection.execute(
        "select rolname from pg_roles where rolname = any(%s) "
        "and shobj_description(oid, 'pg_authid') is distinct from %s order by 1",
        [[*OWNERS, *READERS], MARK],
    ).fetchall()
    foreign = connection.execute(
        "select datname from pg_database join pg_roles owner on owner.oid = datdba "
        "where datname = any(%s) and rolname <> datname order by 1",
        [list(OWNERS)],
    ).fetchall()
    taken = [f"role {name}" for (name,) in unmarked] + [f"database {name}" for (name,) in foreign]
    if taken:
        raise BootstrapError(
            f"{', '.join(taken)}: on this server already, and not made by Cityloom. Rename what "
            "another program has, or give Cityloom a server of its own"
        )


def _ensure_role(
    connection: psycopg.Connection, role: str, password: str, superuser: bool, may_demote: bool
) -> None:
    name = sql.Identifier(role)
    found = connection.execute(
        "select rolsuper from pg_roles where rolname = %s", [role]
    ).fetchone()
    if found is None:
        with connection.transaction():  # a killed one leaves no role without its mark
            connection.execute(sql.SQL("create role {}").format(name))
            connection.execute(sql.SQL("comment on role {} is {}").format(name, sql.Literal(MARK)))
    elif may_demote:
        connection.execute(
            sql.SQL("alter role {} nosuperuser noreplication nobypassrls").format(name)
        )
    elif found[0]:
        raise BootstrapError(
            f"role {role!r} exists on this server and is a superuser; rename it, or give "
            "Cityloom a server of its own"
        )
    reader = role in READERS
    connections = READER_CONNECTIONS if reader else -1
    set_login(connection, role, password, superuser, role if reader else None, connections)


def may_forbid_acting(connection: psycopg.Connection) -> bool:
    """Return whether a member of a role can be kept from acting as it: PostgreSQL 16 or newer."""
    return connection.info.server_version >= 160000


def grant_role(connection: psycopg.Connection, group: str, member: str) -> None:
    """Give a login the rights of a reader's role, and no way to act as it (`SET ROLE`).

    Acting as it, a person could change the password by which others and Superset log in. Before
    PostgreSQL 16 a member always may act as the role.
    """
    options = " with inherit true, set false" if may_forbid_acting(connection) else ""
    names = sql.Identifier(group), sql.Identifier(member)
    connection.execute(sql.SQL("grant {} to {}" + options).format(*names))


def _members(connection: psycopg.Connection) -> list[tuple[str, str, bool]]:
    return connection.execute(_MEMBERS, [list(READERS), [*OWNERS, *READERS]]).fetchall()


def set_login(
    connection: psycopg.Connection,
    role: str,
    password: str,
    superuser: bool,
    like: str | None,
    connections: int,
) -> None:
    """Give a role its password, and the limits of the reader `like`; take memberships away.

    `superuser`: whether `connection` is one's. The password is sent as a SCRAM verifier.
    """
    name = sql.Identifier(role)
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL(
            "alter role {} with login nocreatedb nocreaterole connection limit {} "
            "valid until 'infinity' password {}"
        ).format(name, connections, sql.Literal(verifier))
    )
    for group, grantor in connection.execute(
        "select roleid::regrole::text, grantor::regrole::text from pg_auth_members "
        "where member = %s::regrole",
        [role],
    ).fetchall():
        connection.execute(f"revoke {group} from {role} granted by {grantor}")
    if like is not None:
        for (database,) in connection.execute(
            "select datname from pg_db_role_setting join pg_database d on d.oid = setdatabase "
            "where setrole = %s::regrole",
            [role],
        ).fetchall():
            in_database = sql.SQL("alter role {} in database {} reset all")
            connection.execute(in_database.format(name, sql.Identifier(database)))
        connection.execute(sql.SQL("alter role {} reset all").format(name))
        settings = _reader_settings(connection) | (_limits(like) if superuser else {})
        for setting, value in settings.items():
            connection.execute(
                sql.SQL("alter role {} set {} = {}").format(name, sql.Identifier(setting), value)
            )


def _limits(role: str) -> dict[str, str]:
    return RESTRICTED_LIMITS if ROLES[role].tier == "restricted" else READER_LIMITS


def _reader_settings(connection: psycopg.Connection) -> dict[str, str]:
    """Return those of `READER_SETTINGS` that this version of PostgreSQL knows."""
    known = connection.execute(
        "select name from pg_settings where name = any(%s)", [list(READER_SETTINGS)]
    ).fetchall()
    return {name: READER_SETTINGS[name] for (name,) in known}


def _ensure_database(connection: psycopg.Connection, role: str, superuser: bool) -> None:
    name = sql.Identifier(role)
    if not superuser:  # only a member may hand a role a database
        connection.execute(sql.SQL("grant {} to current_user").format(name))
    found = connection.execute("select 1 from pg_database where datname = %s", [role]).fetchone()
    if found is None:
        connection.execute(
            sql.SQL("create database {} owner {} encoding 'UTF8' template template0").format(
                name, name
            )
        )
    connection.execute(sql.SQL("revoke all on database {} from public").format(name))


def _role_faults(connection: psycopg.Connection) -> Iterator[Fault]:
    """Yield what is wrong with attributes, settings and memberships of the roles."""
    roles = connection.execute(
        """
        select rolname, rolconnlimit, rolcreaterole or rolcreatedb as makes,
               array_remove(array[case when rolsuper then 'superuser' end,
                                  case when rolreplication then 'replication' end,
                                  case when rolbypassrls then 'bypassrls' end], null) as privileges
        from pg_roles where rolname = any(%s) order by 1
        """,
        [[*OWNERS, *READERS]],
    ).fetchall()
    for role, limit, makes, privileges in roles:
        wanted = READER_CONNECTIONS if role in READERS else -1
        if limit != wanted:
            yield Fault(f"{role} may hold {limit} connections, not {wanted}")
        if makes:
            yield Fault(f"{role} may make roles or databases")
        for privilege in privileges:
            yield Fault(f"{role} has the attribute {privilege}", needs_superuser=True)
    for role, group in connection.execute(
        "select member::regrole::text, roleid::regrole::text from pg_auth_members "
        "where member::regrole::text = any(%s) order by 1, 2",
        [[*OWNERS, *READERS]],
    ):
        yield Fault(f"{role} is a member of {group}")
    for member, group, may_act in _members(connection):
        if may_act and may_forbid_acting(connection):
            yield Fault(f"{member} may act as {group}, and change its password")
    found: dict[str, dict[str, str]] = {reader: {} for reader in READERS}
    for role, database, setting in connection.execute(
        "select setrole::regrole::text, datname, unnest(setconfig) from pg_db_role_setting "
        "left join pg_database d on d.oid = setdatabase where setrole::regrole::text = any(%s)",
        [list(READERS)],
    ):
        name, _, value = setting.partition("=")
        found[role][f"{name} in database {database}" if database else name] = value
    for role, settings in found.items():
        wanted_settings = _reader_settings(connection) | _limits(role)
        for name in sorted(settings.keys() | wanted_settings.keys()):
            if settings.get(name) != wanted_settings.get(name):
                yield Fault(
                    f"{role} begins with {name} = {settings.get(name, 'its default')}, "
                    f"not {wanted_settings.get(name, 'the default')}",
                    needs_superuser=name in RESTRICTED_LIMITS,
                )


def _database_faults(connection: psycopg.Connection, database: str) -> Iterator[Fault]:
    """Yield what everybody may do in the database that `connection` leads to."""
    for privilege in ("connect", "temporary", "create"):
        ((granted,),) = connection.execute(
            "select has_database_privilege('public', current_database(), %s)", [privilege]
        ).fetchall()
        if granted:
            yield Fault(f"every login has the right {privilege} on database {database}")
    may_create = "select has_schema_privilege('public', 'public', 'create')"
    if connection.execute(may_create).fetchall() == [(True,)]:
        yield Fault(f"every login may create tables in schema public of database {database}")
    if database == "warehouse" and connection.execute(LEAKPROOF_FUNCTIONS).fetchall():
        yield Fault(
            "PostgreSQL compares rows with a reader's filter before the policy that hides them, "
            "which `explain analyze` shows",
            needs_superuser=True,
        )
    open_ones = connection.execute(OWNER_FUNCTIONS).fetchall()
    if open_ones:
        yield Fault(
            f"every login that enters database {database} may execute {len(open_ones)} functions "
            "that hold locks, store large objects, write to the WAL, run a text as SQL, or show "
            "and end others' sessions",
            needs_superuser=True,
        )


def _names(roles: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(role) for role in roles)
