"""Random schema files, random edits of them, and accidents of manual revisions."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.support.workbench import Data, column, schema, table

TYPES = ("int", "long", "short", "float", "double", "boolean", "string", "text", "timestamp")
TEXTS = st.sampled_from(
    [
        *("plain", "50 % of it's", 'a "quoted" word', "back\\slash", ":name and ${x}", '"""'),
        *("Größe\nzweite", "::x :1:"),
    ]
)
NAMES = ("alpha", "Beta", "gamma_ray", "order", "e5", "frac%", "at:noon", "o'clock", "w" * 63)
TABLES = ("ccd", "quick", "Flex", "user")
OVERRIDES = {"int": ("SMALLINT", "NUMERIC"), "string": ("VARCHAR(48)", "TEXT"), "double": ("NUMERIC", "REAL")}
NUMBERS = {"int", "long", "short"}
ACTIONS = st.sampled_from([None, "CASCADE", "SET NULL", "RESTRICT"])


@st.composite
def columns(draw: st.DrawFn, name: str = "") -> Data:
    """Draw a column of any type, sometimes with a matching default."""
    datatype = draw(st.sampled_from(TYPES))
    more: dict[str, Any] = {"description": draw(TEXTS), "nullable": draw(st.booleans())}
    if datatype == "string":
        more["length"] = draw(st.sampled_from([32, 64]))  # any other value fits as text
    if datatype == "timestamp" and draw(st.booleans()):
        more["precision"] = 6
    values = {"int": 7, "long": 8, "double": 0.5, "boolean": True, "string": "x:1:y", "text": "it's 5%"}
    if datatype in values and draw(st.booleans()):
        more["value"] = values[datatype]
    elif datatype in OVERRIDES and draw(st.integers(0, 4)) == 0:
        more["postgresql:datatype"] = draw(st.sampled_from(OVERRIDES[datatype]))
    return column(name, datatype, **more)


def conditions(items: list[Data]) -> list[str]:
    """List conditions on these columns; names are quoted, so that they can be found."""
    plain = [i for i in items if "postgresql:datatype" not in i]
    numbers = [f'"{i["name"]}"' for i in plain if i["datatype"] in NUMBERS and not i.get("autoincrement")]
    texts = [f'"{i["name"]}"' for i in plain if i["datatype"] in {"string", "text"}]
    reals = [f'"{i["name"]}"' for i in plain if i["datatype"] in {"float", "double"}]
    out: list[str] = []
    for n in numbers:
        out += [
            f"{n} > -1000",
            f"{n} IN (1, 2, 7, 8)",
            f"{n} BETWEEN -5 AND 90000",
            f"{n} % 2 = 0 OR {n} > 0",
            f"abs({n}) < 30000 AND ({n} > -10 OR {n} = -20)",
            f"num_nonnulls({n}) >= 0",
        ]
    for n in texts:
        out += [
            f"{n} IN ('a', 'b', 'x:1:y', 'it''s 5%')",
            f"{n} LIKE '%%' OR {n} IS NULL",
            f"{n} ~ '^.*$'",
            f"length({n}) BETWEEN 0 AND 64 AND {n} <> 'never'",
            f"lower({n}) <> 'z' AND NOT ({n} = 'y' AND {n} = 'q')",
        ]
    out += [f"{n} >= -1.5 AND {n} < 1e30" for n in reals]
    out += [f"{a} <= {b} OR {b} > -7" for a in numbers for b in numbers if a < b]
    out += [f"({n} BETWEEN 0 AND 90) AND ({r} BETWEEN 0 AND 360)" for n in numbers for r in reals]
    return out


def check(data: Data, name: str, condition: str, **more: Any) -> Data:
    return {"name": name, "@id": f"{data['@id']}.{name}", "@type": "Check", "expression": condition, **more}


def put(data: Data, item: Data, key: str = "constraints") -> None:
    data.setdefault(key, []).append(item)


@st.composite
def tables(draw: st.DrawFn, name: str) -> Data:
    """Draw a table with a key of one or two columns, others, and perhaps constraints."""
    size = draw(st.integers(1, 2))
    key = [f"k{i}" for i in range(size)]
    items = [column(k, draw(st.sampled_from(["int", "long"])), nullable=False) for k in key]
    if size == 1 and draw(st.integers(0, 3)) == 0:
        items[0]["autoincrement"] = True
    items.extend(draw(columns(n)) for n in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5)))
    items.append(column("u", "long", nullable=False))
    made = table(
        name,
        items,
        key=key if draw(st.booleans()) else ["u"],
        constraints=[{"name": f"un_{name}_u", "@type": "Unique", "columns": ["u"]}],
        description=draw(TEXTS),
    )
    if draw(st.booleans()):
        order = [f"#{name}.{k}" for k in draw(st.permutations(key))]
        unique: Data = {
            "name": f"un_{name}",
            "@id": f"#{name}.un_{name}",
            "@type": "Unique",
            "columns": order,
        }
        if draw(st.booleans()):
            unique |= {"deferrable": True, "initially": draw(st.sampled_from(["DEFERRED", "IMMEDIATE"]))}
        put(made, unique)
    possible = conditions(items)
    for i in range(draw(st.integers(0, 2)) if possible else 0):
        more = {"description": draw(TEXTS)} if draw(st.booleans()) else {}
        put(made, check(made, f"ck_{name}_{i}", draw(st.sampled_from(possible)), **more))
    if draw(st.booleans()):
        where = draw(st.sampled_from([i["name"] for i in items]))
        put(
            made,
            {"name": f"ix_{name}", "@id": f"#{name}.ix_{name}", "columns": [f"#{name}.{where}"]},
            "indexes",
        )
    return made


@st.composite
def keys(draw: st.DrawFn, child: Data, parent: Data) -> None:
    """Add a foreign key."""
    name = f"fk_{child['name']}_{parent['name']}"
    wanted = column(
        f"{parent['name']}_u", "long", nullable=draw(st.booleans()), id=f"{child['@id']}.{parent['name']}_u"
    )
    child["columns"].append(wanted)
    key: Data = {
        "name": name,
        "@id": f"{child['@id']}.{name}",
        "@type": "ForeignKey",
        "columns": [wanted["@id"]],
        "referencedColumns": [f"{parent['@id']}.u"],
    }
    action = draw(ACTIONS)
    if action and not (action == "SET NULL" and not wanted["nullable"]):
        key["on_delete"] = action
    if draw(st.integers(0, 2)) == 0:
        key |= {"deferrable": True, "initially": "DEFERRED"}
    if draw(st.booleans()):
        key["description"] = draw(TEXTS)
    put(child, key)


@st.composite
def schemas(draw: st.DrawFn) -> Data:
    """Draw related tables, with possible cycles; sometimes with a view on one of them."""
    names = ["exposure", *draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=2))]
    made: list[Data] = [draw(tables(name)) for name in names]
    for child in made:
        for parent in made:
            if child is not parent and draw(st.integers(0, 2)) == 0:
                draw(keys(child, parent))
    if draw(st.booleans()):
        made.append(table("visit1", [column("visit_id", "long", nullable=False)], key=["visit_id"]))
    return schema(*made)


# Edits of a pull request.


def real(data: Data) -> list[Data]:
    return [t for t in data["tables"] if t["name"] != "visit1"]


def keep(each: Data, key: str, wanted: Callable[[Data], bool]) -> None:
    """Keep some constraints or indexes of a table; a list of none goes."""
    kept = [item for item in each.pop(key, ()) if wanted(item)]
    if kept:
        each[key] = kept


def drop_where(data: Data, gone: Callable[[str], bool]) -> None:
    """Remove constraints and indexes over removed columns."""
    for each in data["tables"]:
        for key in ("constraints", "indexes"):
            keep(
                each,
                key,
                lambda i: not any(gone(c) for c in (*i.get("columns", ()), *i.get("referencedColumns", ()))),
            )


def edit_add(draw: st.DrawFn, data: Data, each: Data) -> None:
    free = [n for n in (*NAMES, "added", "other") if n not in {c["name"] for c in each["columns"]}]
    name = draw(st.sampled_from(free))
    new = draw(columns(name))
    # A column of that name from another change is a different column, or the same.
    new["@id"] = f"{each['@id']}.new_{name}"
    each["columns"].insert(draw(st.integers(0, len(each["columns"]))), new)


def others(each: Data) -> list[Data]:
    """List columns that no key needs."""
    used = {*each.get("primaryKey", ()), f"{each['@id']}.u"}
    used |= {c for i in each.get("constraints", ()) if i["@type"] != "Unique" for c in i.get("columns", ())}
    return [c for c in each["columns"] if c["@id"] not in used]


def edit_drop(draw: st.DrawFn, data: Data, each: Data) -> None:
    if found := others(each):
        gone = draw(st.sampled_from(found))
        each["columns"].remove(gone)
        drop_where(data, lambda c: c == gone["@id"])
        keep(each, "constraints", lambda i: f'"{gone["name"]}"' not in i.get("expression", ""))


def edit_rename(draw: st.DrawFn, data: Data, each: Data) -> None:
    item = draw(st.sampled_from(each["columns"]))
    taken = {c["name"] for c in each["columns"]}
    name = draw(st.sampled_from([n for n in (*NAMES, "renamed", "added") if n not in taken]))
    rename(each, item, name)


def rename(each: Data, item: Data, name: str) -> None:
    for constraint in each.get("constraints", ()):
        if "expression" in constraint:
            constraint["expression"] = constraint["expression"].replace(f'"{item["name"]}"', f'"{name}"')
    item["name"] = name


def edit_swap(draw: st.DrawFn, data: Data, each: Data) -> None:
    if len(found := others(each)) > 1:
        one, two = found[0], found[-1]
        names = one["name"], two["name"]
        for item, name in ((one, "between"), (two, names[0]), (one, names[1])):
            rename(each, item, name)


def edit_retype(draw: st.DrawFn, data: Data, each: Data) -> None:
    conditioned = "".join(i.get("expression", "") for i in each.get("constraints", ()))
    found = [c for c in others(each) if f'"{c["name"]}"' not in conditioned]
    wider = [c for c in each["columns"] if c["datatype"] == "int"]
    if draw(st.booleans()) and wider:
        draw(st.sampled_from(wider))["datatype"] = "long"
    elif found:
        item = draw(st.sampled_from(found))
        new = draw(columns(item["name"]))
        identity = item["@id"]
        item.clear()
        item.update(new)
        item["@id"] = identity


def edit_comment(draw: st.DrawFn, data: Data, each: Data) -> None:
    found: list[Data] = [each, *each["columns"], *each.get("constraints", ())]
    draw(st.sampled_from(found))["description"] = draw(TEXTS)


def edit_nullable(draw: st.DrawFn, data: Data, each: Data) -> None:
    if found := others(each):
        item = draw(st.sampled_from(found))
        item["nullable"] = not item.get("nullable", True)


def edit_default(draw: st.DrawFn, data: Data, each: Data) -> None:
    values = {"int": 8, "long": 7, "double": 1.5, "boolean": False, "string": "b", "text": "a"}
    found = [c for c in others(each) if c["datatype"] in values and not c.get("autoincrement")]
    if found:
        item = draw(st.sampled_from(found))
        if item.pop("value", None) is None and "postgresql:datatype" not in item:
            item["value"] = values[item["datatype"]]


def edit_check(draw: st.DrawFn, data: Data, each: Data) -> None:
    possible = conditions(each["columns"])
    if not possible:
        return
    condition = draw(st.sampled_from(possible))
    known = [c for c in each.get("constraints", ()) if c["@type"] == "Check"]
    if draw(st.booleans()) and known:
        draw(st.sampled_from(known))["expression"] = condition
    elif not any(c["name"] == f"ck_{each['name']}_new" for c in known):
        put(each, check(each, f"ck_{each['name']}_new", condition))


def edit_constraint(draw: st.DrawFn, data: Data, each: Data) -> None:
    """Drop, rename or change the options of an independent constraint."""
    found = [c for c in each.get("constraints", ()) if c.get("columns") != [f"{each['@id']}.u"]]
    if not found:
        return
    item = draw(st.sampled_from(found))
    kind = draw(st.sampled_from(["drop", "rename", "option"]))
    if kind == "drop":
        keep(each, "constraints", lambda i: i is not item)
    elif kind == "rename":
        item["name"] += draw(st.sampled_from(["_a", "_b"]))
    elif item["@type"] == "ForeignKey":
        item["on_delete"] = "CASCADE" if item.get("on_delete") != "CASCADE" else "RESTRICT"
    elif item["@type"] == "Unique":
        item["deferrable"] = not item.get("deferrable", False)
        if not item["deferrable"]:
            item.pop("initially", None)


def edit_unique(draw: st.DrawFn, data: Data, each: Data) -> None:
    name = f"un_{each['name']}_new"
    if not any(c["name"] == name for c in each.get("constraints", ())):
        chosen = [draw(st.sampled_from(each["columns"]))["@id"], f"{each['@id']}.u"]
        columns_ = list(dict.fromkeys(chosen))
        if len(columns_) > 1:
            put(each, {"name": name, "@id": f"{each['@id']}.{name}", "@type": "Unique", "columns": columns_})


def edit_key(draw: st.DrawFn, data: Data, each: Data) -> None:
    """Change the primary key."""
    unique = [f"{each['@id']}.u"]
    keys = [c["@id"] for c in each["columns"] if c["@id"].endswith((".k0", ".k1"))]
    each["primaryKey"] = (keys or unique) if each["primaryKey"] == unique else unique


def edit_index(draw: st.DrawFn, data: Data, each: Data) -> None:
    if each.get("indexes"):
        if draw(st.booleans()):
            each["indexes"][0]["name"] += draw(st.sampled_from(["_a", "_b"]))
        else:
            del each["indexes"]
    else:
        on = draw(st.sampled_from(each["columns"]))["@id"]
        name = f"ix_{each['name']}_new"
        put(each, {"name": name, "@id": f"{each['@id']}.{name}", "columns": [on]}, "indexes")


def edit_drop_table(draw: st.DrawFn, data: Data, each: Data) -> None:
    if each["name"] == "exposure":
        return
    data["tables"].remove(each)
    drop_where(data, lambda c: c.startswith(f"{each['@id']}."))


def edit_new_table(draw: st.DrawFn, data: Data, each: Data) -> None:
    if not any(t["name"] == "fresh" for t in data["tables"]):
        new = draw(tables("fresh"))
        data["tables"].append(new)
        if draw(st.booleans()):
            draw(keys(new, each))


def edit_rename_table(draw: st.DrawFn, data: Data, each: Data) -> None:
    if each["name"] != "exposure":
        each["name"] += draw(st.sampled_from(["_a", "_b"]))


def edit_refer(draw: st.DrawFn, data: Data, each: Data) -> None:
    for parent in real(data):
        taken = {c["name"] for t in data["tables"] for c in t.get("constraints", ())}
        columns_ = {c["name"] for c in each["columns"]}
        if (
            parent is not each
            and f"fk_{each['name']}_{parent['name']}" not in taken
            and (f"{parent['name']}_u" not in columns_)
            and any(c["@id"].endswith(".u") for c in parent["columns"])
        ):
            draw(keys(each, parent))
            return


EDITS: list[Callable[[st.DrawFn, Data, Data], None]] = [
    value for name, value in list(globals().items()) if name.startswith("edit_")
]


@st.composite
def edited(draw: st.DrawFn, data: Data, most: int = 3) -> Data:
    """Apply a few edits to a file."""
    data = deepcopy(data)
    for edit in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=most)):
        edit(draw, data, draw(st.sampled_from(real(data))))
    return data


# Accidents of a manual revision.


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def accidents(draw: st.DrawFn, data: Data) -> list[str]:
    """Draw statements after which a database differs from the file."""
    each = draw(st.sampled_from(real(data)))
    name = f"cdb_latiss.{quoted(each['name'])}"
    viewed = any(t["name"] == "visit1" for t in data["tables"])
    found = ["CREATE TABLE cdb_latiss.by_hand (a bigint PRIMARY KEY)"]
    found.append(f"ALTER TABLE {name} ADD COLUMN extra integer DEFAULT 5")
    found.append(f"COMMENT ON TABLE {name} IS NULL")
    found.append(
        "CREATE TABLE cdb_latiss.pointer "
        f"(a bigint PRIMARY KEY, b bigint CONSTRAINT fk_pointer REFERENCES {name} (u))"
    )
    found.append(f"CREATE INDEX ix_by_hand ON {name} (u DESC)")
    found.append(f"CREATE VIEW cdb_latiss.seen AS SELECT u FROM {name}")
    found.append(f"ALTER TABLE {name} ADD CONSTRAINT ck_hand CHECK (u > -99999)")
    for item in each.get("constraints", ()):
        constraint = quoted(item["name"])
        if item["@type"] == "Check" or item["@type"] == "ForeignKey":
            found.append(f"ALTER TABLE {name} DROP CONSTRAINT {constraint}")
            found.append(f"ALTER TABLE {name} RENAME CONSTRAINT {constraint} TO by_hand_name")
    for item in each["columns"]:
        where = f"{name} ALTER COLUMN {quoted(item['name'])}"
        found.append(f"COMMENT ON COLUMN {name}.{quoted(item['name'])} IS 'by hand'")
        if item in others(each):
            found.append(f"ALTER TABLE {where} DROP NOT NULL")
            if not (viewed and each["name"] == "exposure"):
                if item["datatype"] == "int" and "postgresql:datatype" not in item:
                    found.append(f"ALTER TABLE {where} TYPE bigint")
                found.append(f"ALTER TABLE {name} DROP COLUMN {quoted(item['name'])}")
    if viewed:
        found.append("DROP VIEW cdb_latiss.visit1")
    chosen = draw(st.lists(st.sampled_from(found), unique=True, min_size=1, max_size=2))
    # A removal comes last, and once: the other statement may need it.
    last = [s for s in chosen if "DROP " in s or "RENAME " in s]
    return [*(s for s in chosen if s not in last), *last[:1]]
