"""The rules of lint, and their evaluation on a revision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, cast

from consdb_actions.lint.checks import LOCKS, RUNNING
from consdb_actions.lint.finding import (
    Acknowledgement,
    Hit,
    LintFinding,
    LintRule,
    acknowledgements,
    merged,
)
from consdb_actions.lint.readers import LOSSES, READERS
from consdb_actions.lint.script import RevisionScript
from consdb_actions.schema.findings import Severity
from consdb_actions.schema.model import MAX_BYTES

RULES: tuple[LintRule, ...] = (
    # The file and its history
    LintRule(
        "script-fails",
        "error",
        "upgrade() or downgrade() raises an exception.",
        """\
The function was run on the scratch server and failed. Its statements before that were checked, later ones
were not.""",
        "Correct the revision; `migrations check` runs it, too.",
    ),
    LintRule(
        "unparseable",
        "error",
        "A statement is not SQL.",
        """\
Postgres' own parser refuses the statement, so that the database does, too.""",
        "Correct the statement; the message is the parser's own.",
    ),
    LintRule(
        "not-judged",
        "warning",
        "Something cannot be judged by lint.",
        """\
What lint does not understand is never counted as harmless (rule L1): a `DO` block, the body of a function
or trigger, dynamic SQL, a call of a function that may do anything, `COPY`, a branch for Alembic's offline
mode, code that depends on the rows of a table, a statement that lint does not run on the scratch server (it
would reach beyond it), and connections, programs or files of the revision's own, which are refused. What a
`DO` block or a function does to the catalog of the empty scratch database is seen, and judged by the other
rules.""",
        "Write it as plain statements if possible (`UPDATE ... FROM`, `INSERT ... SELECT`); otherwise "
        "review it, and acknowledge it with a reason.",
    ),
    LintRule(
        "two-heads",
        "error",
        "The section has more than one head.",
        """\
Two revisions follow the same one, usually because two branches were created at the same time. `alembic
upgrade head` refuses to choose between them.""",
        "Set `down_revision` of the newer file to the other head, and check that both changes fit together.",
    ),
    LintRule(
        "edited-merged-revision",
        "error",
        "A revision on the default branch is edited or removed.",
        """\
Databases that have run the revision never see the change, and from then on differ from those that run it
later. What counts is what the file does: comments, its description, the order of imports and the layout may
change. The comparison is with the commit at which the branch left the default branch, as far as git knows
it.""",
        "Restore the file, and create a new revision for what should be different.",
    ),
    # What does not run, or not as intended
    LintRule(
        "does-not-apply",
        "error",
        "Postgres refuses a statement.",
        """\
The section's history was replayed, and Postgres refused this statement where it stands: it names something
that is missing, creates what exists already, changes a column that a view reads, converts values that need
`USING`. The message is Postgres' own. Only the first such statement of each direction is named. What was
made by hand, outside of the revisions, is not known here; the tables hold no rows, so that data can make a
statement fail as well (`migrations check` tries rows).""",
        "Change the order, the name or the statement.",
    ),
    LintRule(
        "not-null-without-default",
        "error",
        "A NOT NULL column is added to a table that may hold rows, without a default.",
        """\
Existing rows would hold NULL, so Postgres refuses the column as soon as there is one row. It works on the
empty table of a test and fails on the real one. Both directions are checked: a downgrade that restores a
dropped column as NOT NULL fails in the same way.""",
        "Three steps: add the column nullable, fill it, then `alter_column(..., nullable=False)`.",
    ),
    LintRule(
        "needs-autocommit",
        "error",
        "A statement cannot run inside of the migration's transaction.",
        """\
`CREATE INDEX CONCURRENTLY`, `VACUUM`, `ALTER SYSTEM` and a few others are refused inside of a transaction,
and a migration runs in one. Alembic leaves it for the length of an autocommit block. The block commits the
statements before it, so such a revision should do nothing else.""",
        "Put it into `with op.get_context().autocommit_block():`.",
    ),
    LintRule(
        "ends-transaction",
        "warning",
        "A revision ends or begins a transaction explicitly.",
        """\
After `COMMIT` a failure leaves half of the revision in the database, and Alembic does not know it.
`ROLLBACK` discards what was done before.""",
        "Use `with op.get_context().autocommit_block():`, in a revision of its own.",
    ),
    LintRule(
        "unqualified-name",
        "error",
        "A table is named without its schema.",
        """\
Postgres looks for such a name along the search path of whoever runs the migration, which does not contain
the schemas of ConsDB: the statement fails, or finds another table. A missing `schema=` in an `op.` call is
the usual cause.""",
        "Give `schema=` to the `op.` call, or write `schema.table`.",
    ),
    LintRule(
        "other-schema",
        "error",
        "A statement names another schema than the directory's own.",
        """\
Each directory of revisions belongs to one schema. A statement that was copied from the directory of another
instrument works, and changes that instrument. Every schema that a statement names is checked, also in view
queries, grants, `SET search_path` and `nextval('schema.sequence')`. The schema of the version tables
(`cdb`, `efd`), the system's own, and `public` before types and functions are allowed.""",
        "Name the directory's own schema; what another schema needs belongs in a revision of its own "
        "directory.",
    ),
    LintRule(
        "long-identifier",
        "error",
        f"A name is longer than {MAX_BYTES} bytes.",
        """\
Postgres cuts such a name silently. Two names can become the same one, and the next migration does not find
the long one. A name that was cut long ago may be named in full to rename or drop it.""",
        "Choose a shorter name; the finding shows what Postgres would make of this one.",
    ),
    LintRule(
        "version-table",
        "error",
        "A statement changes a version table.",
        """\
Alembic keeps the revision of each section in `cdb.*_version`. A revision that writes there, or changes the
table, makes the recorded revision wrong.""",
        "Leave the table to Alembic; `alembic stamp` is the command for repairs.",
    ),
    # What is lost
    LintRule(
        "data-loss",
        "error",
        "The upgrade removes data.",
        """\
Dropping a column or a table that was there before the revision, deleting rows, and a type change whose
`USING` does not use the old value cannot be undone: the downgrade restores the column, not its values. The
reason has to be in the file:

```python
# consdb: ack data-loss: DM-12345, never filled; agreed with the quicklook team
op.drop_column("exposure_quicklook", "guider_t_mean", schema="cdb_lsstcam")
```

A column whose values an UPDATE or INSERT of the same revision copies elsewhere first is moved, not lost.""",
        "Copy what is still needed first, and acknowledge the loss with a reason: `# consdb: ack "
        "data-loss: REASON`",
    ),
    LintRule(
        "values-overwritten",
        "warning",
        "An UPDATE or a type change replaces values that were there before.",
        """\
The downgrade cannot restore them. An UPDATE of a column that the same revision adds is not meant, nor one
whose old values were copied first; where a condition or a join limits it to some rows, it is only a note. A
type change to `real`, to fewer digits or to a date rounds or cuts silently.""",
        "Keep the old values (a column, a table) until the change is accepted, or acknowledge it with a "
        "reason.",
    ),
    LintRule(
        "cascade",
        "error",
        "CASCADE removes more than the statement names.",
        """\
Dependent objects are dropped with it without being named: views with their grants, foreign keys of other
tables, rows. The downgrade does not restore them, and they may differ between databases.""",
        "Drop each object in a separate statement, and recreate those that are still needed.",
    ),
    LintRule(
        "view-grants-lost",
        "error",
        "A view is recreated without its previous grants.",
        """\
`DROP VIEW` takes the grants along, and `CREATE VIEW` brings none back: the roles that read the view before
cannot read it any more. Both directions are checked, and tables that are created again as well. `CREATE OR
REPLACE VIEW` keeps them.""",
        '`op.execute("GRANT SELECT ON schema.view TO role")` after the view is created.',
    ),
    LintRule(
        "empty-downgrade",
        "error",
        "The upgrade changes the schema, and the downgrade does nothing.",
        """\
`alembic downgrade` would report success and leave the database as it was; the next upgrade then fails on
existing objects. The same applies to a downgrade that raises NotImplementedError. An upgrade that only
writes rows or grants needs none.""",
        "Write the downgrade, or acknowledge with the reason why there is none.",
    ),
    LintRule(
        "downgrade-mirror",
        "warning",
        "The downgrade does not restore the catalog.",
        """\
Upgrade and downgrade are run one after the other, and the catalog is compared with the one before: tables,
columns, constraints, indexes, views, grants, comments, sequences, functions and triggers. The order of a
table's columns does not count.""",
        "Undo each statement of the upgrade, in the opposite order; views with the definition that they had.",
    ),
    LintRule(
        "downgrade-loss",
        "info",
        "The downgrade removes what was written since the upgrade.",
        """\
Dropping a new column again loses the values written since the upgrade. No downgrade can avoid this; it is
noted for each table.""",
        "Save what is needed before a downgrade on a database in use.",
    ),
    # Who reads it
    LintRule(
        "breaks-readers",
        "warning",
        "A table, view or column is renamed, or a view shows fewer columns or other rows.",
        """\
Queries in notebooks, `hinfo`, `pqserver` and the TAP service name tables and columns. They fail from the
moment of the migration until they are changed. A view that shows a renamed column keeps the old name for it
until it is created again; one that is created again with fewer or other columns breaks its readers in the
same way, and with another FROM or WHERE it shows them other rows. Objects that the same revision creates can
be renamed freely, and names of constraints and indexes do not matter to readers.""",
        "Announce it, and deploy the readers together with the migration; or keep the old name as well "
        "until they are "
        "changed (a view, or a second column).",
    ),
    LintRule(
        "revoked-grant",
        "warning",
        "The upgrade takes privileges away.",
        """\
`REVOKE` and `DROP OWNED` take effect at the commit: the services and people of the role fail at once. A
role may hold privileges that no revision gave, so that every `REVOKE` on something that was there before is
named.""",
        "Ask those who use the role, and acknowledge it with a reason.",
    ),
    LintRule(
        "owner-change",
        "warning",
        "A table or view gets another owner.",
        """\
Only the owner can change a table and grant privileges on it; the next migration, run by another role,
fails.""",
        "Leave ownership to the operators: `migrations apply` gives new tables the owner of their siblings.",
    ),
    LintRule(
        "row-security",
        "warning",
        "Row-level security or a policy hides rows from readers.",
        """\
With row-level security and no policy that allows them, a reader sees no rows at all, and gets no error.""",
        "Add the policies for `usdf`, `oods` and the services in the same revision, and test them with "
        "these roles.",
    ),
    LintRule(
        "replication",
        "warning",
        "The replica may no longer get rows.",
        """\
The replica at USDF follows a publication of the Summit. Dropping or changing it, `REPLICA IDENTITY
NOTHING`, `UNLOGGED` tables and a table without primary key stop that: rows are not sent, or UPDATE and
DELETE fail on the publisher. Adding tables to the publication is what a new table needs. Other replica
identities are notes.""",
        "Agree it with those who run the replica; publications are changed by a ticket (see "
        "`table-without-publication`).",
    ),
    LintRule(
        "session-setting",
        "warning",
        "A setting, a role or a disabled trigger changes what other statements do.",
        """\
With `session_replication_role = replica` or `DISABLE TRIGGER`, foreign keys are not checked. `SET ROLE` and
`SET SESSION AUTHORIZATION` change the owner of new objects.""",
        "Remove it; if it is needed, use `SET LOCAL` and acknowledge it.",
    ),
    LintRule(
        "view-without-grant",
        "info",
        "A view is created without the configured grants.",
        """\
The configuration names the roles that read every table and view of a schema (section `grants`; `usdf` and
`oods` by default). A view that is created without them can be read by its owner only, unless default
privileges of the database grant them. A view that had grants and loses them is a case of
`view-grants-lost`. Hardly any revision of ConsDB grants anything, so that it is a note.""",
        '`op.execute("GRANT SELECT ON schema.view TO role")` after the view is created.',
    ),
    LintRule(
        "table-without-grant",
        "info",
        "A table is created without the configured grants.",
        """\
The same as `view-without-grant`, for tables.""",
        '`op.execute("GRANT SELECT ON schema.table TO role")` after the table is created.',
    ),
    LintRule(
        "table-without-publication",
        "info",
        "A new table is not in the publication.",
        """\
The replica at USDF gets only the tables that the publication at the Summit names. A new one has to be added
there (with its grants, in the replica's SQL files and in the list of tables that a rebuild truncates),
usually by a ticket. The acknowledgement is the place for it:

```python
# consdb: ack table-without-publication: IHS-1234
op.create_table(
```

Schemas that are written at USDF (`efd_*`) are not replicated, so that nothing is said about them.""",
        "Write the ticket for the publication and name it: `# consdb: ack table-without-publication: TICKET`",
    ),
    # Locks
    LintRule(
        "table-rewrite",
        "warning",
        "A statement makes Postgres rewrite a whole table.",
        """\
Nobody can read or write the table meanwhile. Rewrites are not guessed: Postgres gave the table another file
on the scratch server. Most type changes do (not `varchar(n)` to a longer one or to `text`, nor `numeric` to
more digits), a default that is computed for each row (`gen_random_uuid()`, `clock_timestamp()`), an
identity or stored generated column, `SET LOGGED`. `CLUSTER`, `VACUUM FULL`, `SET TABLESPACE` and `REINDEX`
are named even if an empty table needs no rewrite.""",
        "Add a new column, fill it in batches, change the readers, and drop the old one in a later "
        "revision; or announce "
        "how long the table is locked.",
    ),
    LintRule(
        "not-null-scan",
        "warning",
        "SET NOT NULL reads the whole table while nobody can use it.",
        """\
Found by squawk (`adding-not-nullable-field`). Where a CHECK that was validated says already that the column
holds no NULL, Postgres does not read the table, and nothing is said:

```sql
ALTER TABLE s.t ADD CONSTRAINT c_given CHECK (c IS NOT NULL) NOT VALID;  -- no scan
ALTER TABLE s.t VALIDATE CONSTRAINT c_given;                             -- a scan while others read and write
ALTER TABLE s.t ALTER COLUMN c SET NOT NULL;                             -- no scan
ALTER TABLE s.t DROP CONSTRAINT c_given;
```

The second statement belongs in a later transaction than the first.""",
        "Add `CHECK (column IS NOT NULL) NOT VALID`, validate it in a later transaction, then SET NOT NULL "
        "and drop the "
        "CHECK.",
    ),
    LintRule(
        "foreign-key-scan",
        "warning",
        "A foreign key is added without NOT VALID.",
        """\
Found by squawk (`adding-foreign-key-constraint`). `ADD FOREIGN KEY` looks up the parent of every row, and
until the migration commits nobody can write to either table. With `NOT VALID` nothing is read; `VALIDATE
CONSTRAINT` in a later transaction reads the old rows while others write. In the same transaction the two
gain nothing.""",
        "`op.create_foreign_key(..., postgresql_not_valid=True)`, and `ALTER TABLE ... VALIDATE "
        "CONSTRAINT` in a later "
        "revision.",
    ),
    LintRule(
        "check-scan",
        "warning",
        "A CHECK is added without NOT VALID, or validated too early.",
        """\
Found by squawk (`constraint-missing-not-valid`). `ADD CHECK` reads every row while nobody can use the
table. With `NOT VALID` it holds for new rows at once, and `VALIDATE CONSTRAINT` in a later transaction
reads the old rows while others go on; in the same transaction the strong lock is held during the scan.""",
        "`ALTER TABLE ... ADD CONSTRAINT ... CHECK (...) NOT VALID`, and `VALIDATE CONSTRAINT` in a later "
        "revision.",
    ),
    LintRule(
        "key-under-lock",
        "warning",
        "The index of a primary key or unique constraint is built while nobody can use the table.",
        """\
Found by squawk (`disallowed-unique-constraint`, `adding-serial-primary-key-field`). `ADD PRIMARY KEY` and
`ADD UNIQUE` sort the whole table into a new index and keep it locked until that is done. The index can be
built beforehand:

```python
with op.get_context().autocommit_block():
    op.execute("CREATE UNIQUE INDEX CONCURRENTLY t_new ON s.t (day_obs, seq_num)")
op.execute("ALTER TABLE s.t ADD CONSTRAINT t_pkey PRIMARY KEY USING INDEX t_new")
```

A primary key also makes its columns NOT NULL, which reads the table once more where they are nullable.""",
        "`CREATE UNIQUE INDEX CONCURRENTLY` in an autocommit block, then `ADD CONSTRAINT ... USING INDEX`.",
    ),
    LintRule(
        "index-under-lock",
        "warning",
        "An index is built without CONCURRENTLY.",
        """\
Found by squawk (`require-concurrent-index-creation`). `CREATE INDEX` lets others read the table, and nobody
write to it, until the migration commits; the services that fill ConsDB wait or fail. `CONCURRENTLY` cannot
run inside of a transaction, so that it needs an autocommit block (rule `needs-autocommit`).""",
        "`with op.get_context().autocommit_block(): op.create_index(..., postgresql_concurrently=True)`",
    ),
    LintRule(
        "explicit-lock",
        "info",
        "A table is locked explicitly.",
        """\
The lock of `LOCK TABLE` is held until the migration commits, and later sessions wait.""",
        "Leave it to the statements that need the lock, or set a `lock_timeout` before it.",
    ),
    LintRule(
        "lock-timeout",
        "info",
        "Locks are taken without a lock_timeout.",
        """\
Even a change that is done at once needs its lock first. While it waits for a long query to end, all later
sessions wait behind it, readers included. With a `lock_timeout` the migration gives up instead, nothing is
changed, and it can be started again. The locks are those that Postgres held on the scratch server. Only a
note, because ConsDB is migrated in a window in which its services are quiet, and nearly every revision
takes such a lock.""",
        "`op.execute(\"SET LOCAL lock_timeout = '5s'\")` as the first statement of `upgrade()`.",
    ),
    LintRule(
        "acknowledgement",
        "warning",
        "An acknowledgement has no reason, names no rule, or has no effect.",
        """\
`# consdb: ack RULE: reason` stands on the line of the statement or right before it. Without a reason it
does not count. One that matches no finding is a leftover, or in the wrong place, and would hide the next
finding.""",
        "Write `# consdb: ack RULE: reason` right before the statement, or remove the comment.",
    ),
)
"""All rules, in the order in which findings on one line are listed."""

CHECKS: dict[str, Callable[[RevisionScript], Iterator[Hit]]] = {
    **{check.__name__.replace("_", "-"): check for check in (*RUNNING, *LOSSES, *READERS)},
    **LOCKS,
}
"""The check of each rule."""

_ACKNOWLEDGEMENT = "acknowledgement"


def judge(script: RevisionScript, source: str, severities: Mapping[str, Severity]) -> tuple[LintFinding, ...]:
    """Return a revision's findings by line, one for each table and rule (rule L3)."""
    comments = acknowledgements(source)
    effective = dict.fromkeys(comments, False)
    groups: dict[tuple[str, Severity, str | None, str | None, str], list[Hit]] = {}
    for rule in RULES:
        severity = severities.get(rule.id, rule.severity)
        if severity == "off" or rule.id == _ACKNOWLEDGEMENT:
            continue
        for hit in CHECKS[rule.id](script):
            reason = None
            for comment in comments:
                if comment.rule == rule.id and comment.first <= hit.line <= comment.last:
                    reason = comment.reason or reason
                    effective[comment] = True
            level: Severity = "info" if hit.minor else severity
            groups.setdefault((rule.id, level, reason, hit.direction, hit.table), []).append(hit)
    findings = [_finding(script, *key[:3], hits) for key, hits in groups.items()]
    severity = severities.get(_ACKNOWLEDGEMENT, "warning")
    if severity != "off":
        for comment, used in effective.items():
            if message := _acknowledgement_problem(comment, used=used, known={rule.id for rule in RULES}):
                findings.append(
                    _finding(script, _ACKNOWLEDGEMENT, severity, None, [Hit(comment.line, message)])
                )
    order = {rule.id: position for position, rule in enumerate(RULES)}
    return tuple(sorted(findings, key=lambda f: (f.line, order[f.rule], f.message)))


def _finding(
    script: RevisionScript, rule: str, severity: Severity, reason: str | None, hits: list[Hit]
) -> LintFinding:
    hits = sorted(hits, key=lambda hit: hit.line)
    return LintFinding(
        rule=rule,
        severity=cast(Literal["error", "warning", "info"], severity),
        file=script.file,
        section=script.section,
        revision=script.revision,
        message=merged(hits),
        remedy=next(known.remedy for known in RULES if known.id == rule),
        lines=tuple(dict.fromkeys(hit.line for hit in hits)),
        direction=hits[0].direction,
        table=hits[0].table,
        lock=next((hit.lock for hit in hits if hit.lock), ""),
        sql=hits[0].sql,
        acknowledged=reason,
    )


def _acknowledgement_problem(comment: Acknowledgement, *, used: bool, known: Collection[str]) -> str:
    if not comment.rule:
        return "this acknowledgement names no rule"
    if comment.rule not in known:
        return f"this acknowledgement names {comment.rule}, which is not a rule"
    if not comment.reason:
        return f"this acknowledgement of {comment.rule} gives no reason, so that it does not count"
    return "" if used else f"no finding here matches this acknowledgement of {comment.rule}"
