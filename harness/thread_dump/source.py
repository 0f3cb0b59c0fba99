"""Locks in the source of a function: on which lines one is held, and on which it is taken. Pure.

Two ways to take a lock are understood: ``with lock:``, and ``lock.acquire()`` followed by ``try ... finally:
lock.release()``. There ``lock`` is a name or attributes of one, never a call. A doubtful case counts as no lock.
Examples are a line that both takes a lock and does something with it, a body that releases it, and code that is not
what runs.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
#: Frames of code within a function that is none of its statements.
_NAMELESS = ("<lambda>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_MODULE = "<module>"


@dataclass(frozen=True, slots=True)
class Region:
    """Lines on which a lock is taken, and on which it is then held."""

    lock: str
    """Text in the source: ``self.protocol_mutex``."""
    taken: range
    held: range


class SourceFile:
    """One file's text, by its lines."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._tree = _parsed(text)
        # Hundreds of threads are mostly at the same few lines.
        self._regions = functools.cache(self._find_regions)

    def line(self, number: int) -> str:
        """Return a line's text without surrounding whitespace; empty if there is no such line."""
        return self._lines[number - 1].strip() if 0 < number <= len(self._lines) else ""

    def held_at(self, function: str, line: int) -> list[str]:
        """Return the locks that a frame of ``function`` holds at a line."""
        return [region.lock for region in self._regions(function, line) if line in region.held]

    def taken_at(self, function: str, line: int) -> str | None:
        """Return the lock that a frame of ``function`` is taking, if the line does nothing else."""
        found = {region.lock for region in self._regions(function, line) if line in region.taken}
        return found.pop() if len(found) == 1 else None

    def is_global(self, name: str, line: int) -> bool:
        """True if a name at a line is the module's own, and not bound by a function around that line."""
        if self._tree is None:
            return False
        around = [scope for scope in _around(self._tree, line) if not isinstance(scope, ast.ClassDef)]
        return name in _bound(self._tree) and not any(name in _bound(scope) for scope in around)

    def _find_regions(self, function: str, line: int) -> list[Region]:
        last = function.rpartition(".")[2]
        if self._tree is None or last in _NAMELESS:
            return []
        around = _around(self._tree, line)
        innermost: ast.Module | _Scope = around[-1] if around else self._tree
        named = _MODULE if isinstance(innermost, ast.Module) else innermost.name
        return list(_regions(innermost)) if named == last else []


def _parsed(text: str) -> ast.Module | None:
    """Parse the text; None if this Python does not understand it. The process may run another Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _around(tree: ast.Module, line: int) -> list[_Scope]:
    """Return the functions and classes around a line, innermost last."""
    found = [node for node in ast.walk(tree) if isinstance(node, _SCOPES) and line in _lines(node)]
    return sorted(found, key=lambda node: len(_lines(node)), reverse=True)


def _lines(*nodes: ast.stmt | ast.expr) -> range:
    return range(nodes[0].lineno, (nodes[-1].end_lineno or nodes[-1].lineno) + 1)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, except those within a nested scope."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, (*_SCOPES, ast.Lambda)):
            yield from _own(child)


def _bound(scope: ast.Module | _Scope) -> set[str]:
    """Return the names that a scope binds."""
    found: set[str] = set()
    for node in _own(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, _SCOPES):
            found.add(node.name)
    return found


def _regions(scope: ast.Module | _Scope) -> Iterator[Region]:
    for node in _own(scope):
        if isinstance(node, ast.With):
            yield from _of_with(node)
        elif isinstance(node, ast.Call) and (lock := _called(node, "acquire")) is not None:
            yield Region(lock, _lines(node), range(0))
        if not isinstance(node, _SCOPES):
            for field in ("body", "orelse", "finalbody"):
                yield from _of_try(getattr(node, field, None))
    yield from _of_try(scope.body)


def _of_with(node: ast.With) -> Iterator[Region]:
    body = _lines(*node.body)
    for item in node.items:
        lock, taken = _written(item.context_expr), _lines(item.context_expr)
        if lock is None or taken[-1] >= body[0] or _releases(node.body, lock):
            continue
        alone = sum(taken[0] in _lines(other.context_expr) for other in node.items) == 1
        yield Region(lock, taken if alone else range(0), body)


def _of_try(block: object) -> Iterator[Region]:
    """Find ``lock.acquire()`` followed by a ``try`` that releases the lock in ``finally``, and only there."""
    # The body of a lambda or of a conditional expression is no list of statements.
    for before, after in itertools.pairwise(block if isinstance(block, list) else ()):
        if not (isinstance(before, ast.Expr) and isinstance(after, ast.Try) and after.finalbody):
            continue
        lock = _called(before.value, "acquire")
        within = [*after.body, *after.handlers, *after.orelse]
        if lock is not None and _releases(after.finalbody, lock) and not _releases(within, lock):
            yield Region(lock, range(0), range(after.body[0].lineno, after.finalbody[0].lineno))


def _releases(block: Sequence[ast.AST], lock: str) -> bool:
    return any(_called(node, "release") == lock for part in block for node in ast.walk(part))


def _called(node: ast.AST, method: str) -> str | None:
    """Return the object of a call to ``method`` without arguments (an argument may say not to wait)."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method):
        return None
    return None if node.args or node.keywords else _written(node.func.value)


def _written(node: ast.expr) -> str | None:
    """Return a name, or attributes of one, as written; None for anything else, such as a call."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        of = _written(node.value)
        return None if of is None else f"{of}.{node.attr}"
    return None
