"""Params: the values that a spec leaves to those who use it. `$name`, where a value stands, is the param's value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from archc import errors
from archc.diagnostics import Diagnostic, Label, did_you_mean
from archc.spec.located import Choice, Leaf, Listing, Located, Table
from archc.spec.pipeline import NAME
from archc.spec.validation import wrong

_USE = re.compile(rf"\$({NAME})\Z")
Params = Mapping[str, Located]


def params_of(root: Table, given: Table, found: list[Diagnostic]) -> dict[str, Located]:
    """What each param of a spec stands for: what is given, else its default."""
    entry = root.get("params")
    declared = entry.value if entry else Table((), root.span)
    if not isinstance(declared, Table):
        found.append(wrong(declared, "`params`", "a mapping from names to defaults"))
        return {}
    for extra in given:
        if declared.get(extra.key) is None:
            hint = did_you_mean(extra.key, [e.key for e in declared]) or "it takes none"
            found.append(errors.UnknownKey(span=extra.key_span, key=extra.key, owner="the used spec", hint=hint))
    values: dict[str, Located] = {}
    for param in declared:
        if not re.fullmatch(NAME, param.key):
            problem = "a name has letters, digits and `_`, and begins with a letter"
            found.append(errors.BadValue(span=param.key_span, key=param.key, problem=problem))
        own = given.get(param.key)
        values[param.key] = own.value if own else param.value
        if isinstance(values[param.key], Leaf) and values[param.key] == Leaf(None, values[param.key].span):
            also = (Label(given.span, "used here"),) if given.span.source != root.span.source else ()
            found.append(errors.MissingParam(span=param.key_span, also=also, param=param.key))
    return values


def bound(value: Located, params: Params) -> Located:
    """The value with each known `$name` in it replaced, and `$$` at a start by `$`."""
    match value:
        case Leaf(value=str(text)):
            use = _USE.match(text)
            if use and use[1] in params:
                return params[use[1]]
            return replace(value, value=text[1:]) if text.startswith("$$") else value
        case Listing():
            return replace(value, items=tuple(bound(item, params) for item in value.items))
        case Table():
            return replace(value, entries=tuple(replace(e, value=bound(e.value, params)) for e in value.entries))
        case Choice():
            return replace(value, options=tuple(bound(option, params) for option in value.options))
        case _:
            return value


def unbound(value: Located) -> list[Leaf]:
    """Every `$name` that is left."""
    match value:
        case Leaf(value=str(text)):
            return [value] if _USE.match(text) else []
        case Listing():
            return [leaf for item in value.items for leaf in unbound(item)]
        case Table():
            return [leaf for entry in value for leaf in unbound(entry.value)]
        case _:
            return []


def unknown(leaf: Leaf, params: Params) -> Diagnostic:
    """What to say of a `$name` that nothing defines."""
    name = str(leaf.value)[1:]
    hint = did_you_mean(name, params) or f"declare it: `params: {{{name}: …}}`"
    return errors.UnknownParam(span=leaf.span, param=name, hint=hint.replace("`", "`$", 1) if params else hint)
