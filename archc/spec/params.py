"""Params: the values that a spec leaves to those who use it. `$name`, where a value stands, is the param's value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import is_

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean
from archc.source import Span
from archc.spec.located import Choice, Leaf, Listing, Located, Table, leaves
from archc.spec.pipeline import NAME
from archc.spec.validation import wrong

_USE = re.compile(rf"\$({NAME})\Z")
Params = Mapping[str, Located]


def with_given(root: Located, given: Table) -> Located:
    """The spec with values for its params in the place of their defaults. Raises SpecError for params it has not."""
    declared = root.get("params") if isinstance(root, Table) else None
    known = declared.value if declared and isinstance(declared.value, Table) else Table((), root.span)
    strange = [entry for entry in given if known.get(entry.key) is None]
    if strange or not isinstance(root, Table):
        hints = [did_you_mean(e.key, [k.key for k in known]) or "it has no params" for e in strange]
        raise SpecError(
            *(
                errors.UnknownKey(span=e.key_span, key=e.key, owner="the used spec", hint=hint)
                for e, hint in zip(strange, hints, strict=True)
            )
        )
    values = {entry.key: entry.value for entry in given}
    params = replace(known, entries=tuple(replace(e, value=values.get(e.key, e.value)) for e in known))
    return replace(root, entries=tuple(replace(e, value=params) if e is declared else e for e in root))


def params_of(root: Table, found: list[Diagnostic]) -> dict[str, Located]:
    """What each param of a spec stands for."""
    entry = root.get("params")
    declared = entry.value if entry else Table((), root.span)
    if not isinstance(declared, Table):
        found.append(wrong(declared, "`params`", "a mapping from names to defaults"))
        return {}
    for param in declared:
        if not re.fullmatch(NAME, param.key):
            problem = "a name has letters, digits and `_`, and begins with a letter"
            found.append(errors.BadValue(span=param.key_span, key=param.key, problem=problem))
        if isinstance(param.value, Leaf) and param.value.value is None:
            found.append(errors.MissingParam(span=param.key_span, param=param.key))
    return {param.key: param.value for param in declared}


def bound(value: Located, params: Params) -> Located:
    """The value with each known `$name` in it replaced; itself where nothing is. May be done again, with others."""

    def known(leaf: Leaf, text: str) -> Located:
        use = _USE.match(text)
        return params.get(use[1], leaf) if use else leaf

    return _dollars(value, known)


def unescaped(value: Located) -> Located:
    """The value with `$$` at the start of a text as `$`. Once and last: what comes out may look like a `$name`."""
    return _dollars(value, lambda leaf, text: replace(leaf, value=text[1:]) if text.startswith("$$") else leaf)


def _dollars(value: Located, become: Callable[[Leaf, str], Located]) -> Located:
    """The value with each text that begins with a dollar replaced; itself where none is."""
    match value:
        case Leaf(value=str(text)) if text.startswith("$"):
            return become(value, text)
        case Listing(items=items):
            made = tuple([_dollars(item, become) for item in items])
            return value if all(map(is_, made, items)) else replace(value, items=made)
        case Table(entries=entries):
            values = [_dollars(entry.value, become) for entry in entries]
            if all(new is entry.value for new, entry in zip(values, entries, strict=True)):
                return value
            changed = (replace(entry, value=new) for entry, new in zip(entries, values, strict=True))
            return replace(value, entries=tuple(changed))
        case Choice(options=options):
            made = tuple([_dollars(option, become) for option in options])
            return value if all(map(is_, made, options)) else replace(value, options=made)
        case _:
            return value


MAX_BOUND = 50_000


def refuse_bombs(root: Table, params: Params) -> None:
    """Raises SpecError where lists that params stand for would be put into so many places that it is too much."""
    sizes = {name: sum(1 for _ in leaves(value)) for name, value in params.items() if not isinstance(value, Leaf)}
    total = 0
    for leaf in leaves(root) if sizes else ():
        use = _USE.match(leaf.value) if isinstance(leaf.value, str) else None
        total += sizes.get(use[1], 0) if use else 0
        if total > MAX_BOUND:
            raise SpecError(errors.TooLarge(span=leaf.span, what="values that params stand for", limit=MAX_BOUND))


def unbound(value: Located) -> list[Leaf]:
    """Every `$name` that is left."""
    return [leaf for leaf in leaves(value) if isinstance(leaf.value, str) and _USE.match(leaf.value)]


def unknown(name: str, span: Span, params: Params) -> Diagnostic:
    """What to say of a `$name` that nothing defines."""
    hint = did_you_mean(name, params) or f"declare it: `params: {{{name}: …}}`"
    return errors.UnknownParam(span=span, param=name, hint=hint.replace("`", "`$", 1) if params else hint)
