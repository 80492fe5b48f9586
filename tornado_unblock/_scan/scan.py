"""From paths to a report."""

from __future__ import annotations

import ast
import contextlib
import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from tornado_unblock._scan.attention import notes_of
from tornado_unblock._scan.findings import Finding, Handler, Note, Report
from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.handlers import (
    ASKED_AHEAD,
    BEFORE_VERB,
    ENTRIES,
    ON_LOOP,
    VERBS,
    Handlers,
    is_async,
)
from tornado_unblock._scan.interpret import UI_MODULE, Interpreter, decorator_names
from tornado_unblock._scan.project import Class, Project
from tornado_unblock._scan.reach import Found, Reach, renders
from tornado_unblock._scan.routes import (
    Places,
    Route,
    class_routes,
    read_applications,
    read_routes,
)
from tornado_unblock._scan.served import Served
from tornado_unblock._scan.settings import Settings
from tornado_unblock._scan.source import Source, python_files, read
from tornado_unblock._scan.table import default_table
from tornado_unblock._scan.values import (
    CONFIDENCE,
    LIKELY,
    UNKNOWN,
    Atom,
    Ext,
    Func,
    FunctionNode,
    Map,
    Moved,
    Obj,
)

#: Code is followed deeper than Python allows by itself.
_RECURSION = 6000
#: So many handlers tell what a UI module may find in its own.
_MOST_RENDERING = 16
_UNBLOCK = ("tornado_unblock.unblock", "tornado_unblock.unblock()")


def scan(paths: Iterable[Path], settings: Optional[Settings] = None) -> Report:
    """Scan files and folders. One thread at a time.

    Args:
        paths: What to scan.
        settings: How; the defaults if None.

    Returns:
        What was found, and what could not be read or followed.
    """
    with room():
        return Scan(list(paths), settings or Settings()).report()


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Allow deep recursion; and trees are no garbage, so do not look for any."""
    limit, collecting = sys.getrecursionlimit(), gc.isenabled()
    sys.setrecursionlimit(max(limit, _RECURSION))
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        sys.setrecursionlimit(limit)


@dataclass
class Entry:
    """A method of a handler that Tornado calls.

    Attributes:
        name: Of the method.
        owner: The class that defines it.
        cls: The class whose request runs it.
        frame: Its body.
        node: Its definition.
        unblocked: What moves it to a worker.
        stays: Whether it is on the loop however its class is unblocked.
        found: What blocks in it.
        frames: All that it reaches.
    """

    name: str
    owner: Class
    cls: Class
    frame: Frame
    node: Any
    unblocked: str
    stays: bool
    found: list[Found]
    frames: list[Frame]

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine."""
        return is_async_entry(self.node)

    @property
    def endpoint(self) -> str:
        """The method, by the class that defines it."""
        if self.name == "log_function":
            return "Application.log_function"
        return f"{self.owner.name}.{self.name}"


class Scan:
    """One scan.

    Args:
        paths: Files and folders.
        settings: Of the project.
        sources: The files, where they have been read already.
    """

    def __init__(
        self,
        paths: list[Path],
        settings: Settings,
        sources: Optional[Iterable[Source]] = None,
    ) -> None:
        self.settings = settings
        self.project = Project(paths)
        found = map(read, python_files(paths)) if sources is None else sources
        self.project.load(found)
        table = default_table(settings.rules)
        self.interpreter = Interpreter(self.project, table)
        self.handlers = Handlers(self.interpreter, settings.handler_bases)
        self.reach = Reach(self.interpreter)
        self.routes: dict[Class, list[Route]] = {}
        self.patterns: dict[Class, list[str]] = {}
        self.chosen: list[Class] = []
        self.served = Served(self.interpreter, ())

    def entries(self) -> list[Entry]:
        """Find the methods that Tornado calls, and what they reach."""
        every = [c for m in self.project.modules for c in self._classes(m)]
        self._read_places()
        self.chosen = self._chosen(every)
        entries = [entry for cls in self.chosen for entry in self._entries(cls)]
        return [
            *entries,
            *self._in_templates(every, entries),
            *self._log_functions(),
        ]

    def _in_templates(
        self, every: list[Class], entries: list[Entry]
    ) -> Iterator[Entry]:
        """Yield what templates call on UI modules: it runs where they are rendered."""
        rendering = [e for e in entries if any(map(_renders, e.frames))]
        on_loop = any(not entry.unblocked for entry in rendering)
        classes = list(dict.fromkeys(entry.cls for entry in rendering))
        self.interpreter.rendering = tuple(
            self.interpreter.object_of(cls) for cls in classes[:_MOST_RENDERING]
        )
        modules = [c for c in every if UI_MODULE in self.interpreter.mro(c)]
        for cls in modules if rendering else ():
            owner = self._owner(cls, "render")
            entry = None if owner is None else self._entry(cls, owner, "render")
            if entry is not None:
                entry.unblocked = "" if on_loop else rendering[0].unblocked
                # Whether a template uses it is not known.
                entry.found = [
                    each._replace(level=max(each.level, LIKELY)) for each in entry.found
                ]
                yield entry

    def _log_functions(self) -> Iterator[Entry]:
        """Yield `log_function` of applications: it ends each request."""
        logs = {
            atom: self.interpreter.frame_for(atom, self.interpreter.no_args)
            for settings in self.interpreter.settings
            if isinstance(settings, Map)
            for atom in dict(settings.pairs).get("log_function", ())
            if isinstance(atom, Func)
        }
        for frame in logs.values():
            found, reached = self.reach.search([frame])
            for cls in self.chosen if found else ():
                stays = self._stays(cls, "log_function")
                node = frame.node
                moved = self._unblocked(cls, cls, None, "", stays)
                name = "log_function"
                owner = self.chosen[0]
                yield Entry(name, owner, cls, frame, node, moved, stays, found, reached)

    def on_loop(self) -> tuple[list[Found], list[Frame]]:
        """Return what runs on the loop though no handler asks: callbacks, coroutines.

        Returns:
            What blocks in it, and all frames that it reaches.
        """
        modules = self.project.modules
        frames = [frame for m in modules for frame in self.reach.scheduled(m)]
        return self.reach.search(frames)

    def report(self) -> Report:
        """Find everything."""
        entries = self.entries()
        dark = {
            (frame.module.path, *place)
            for entry in entries
            for frame in entry.frames
            for place in self.reach.edges(frame).dark
        }
        dark.update(self.served.dark)
        notes = notes_of(self.interpreter, entries) if self.settings.notes else []
        problems = sorted(self.project.problems)
        return Report(
            files=len(self.project.modules) + self._unread(),
            handlers=self._summaries(self.chosen, entries),
            findings=sorted(self._findings(entries), key=lambda f: f.rank),
            notes=notes,
            problems=problems,
            dark=sorted(dark),
            missing={
                name: len(u) for name, u in sorted(self.interpreter.missing.items())
            },
        )

    def _unread(self) -> int:
        read = {module.path for module in self.project.modules}
        return len({p.path for p in self.project.problems} - read)

    def _classes(self, module: Any) -> list[Class]:
        return list(self.handlers.classes(module))

    # --- where requests begin ------------------------------------------------------

    def _read_places(self) -> None:
        interpreter = self.interpreter
        places = [read_routes(interpreter, module) for module in self.project.modules]
        made = [each for place in places for each in place.applications]
        interpreter.applications, interpreter.settings = read_applications(
            interpreter, made
        )
        # Again, now that it is known what `self.settings` may be.
        _forget(interpreter)
        self.served = Served(interpreter, places)
        for place in places:
            self._add_places(place)

    def _add_places(self, places: Places) -> None:
        for route in places.routes:
            known = self.routes.setdefault(route.cls, [])
            if all(each.pattern != route.pattern for each in known):
                known.append(route)
            if route.args is not None:
                self.interpreter.initial.setdefault(route.cls, []).append(route.args)

    def _chosen(self, every: list[Class]) -> list[Class]:
        """Return the handlers requests may go to, not what is only a base of others."""
        handlers = [
            cls
            for cls in dict.fromkeys([*every, *self.routes])
            if self.handlers.is_handler(cls)
            or (cls in self.routes and any(v in self._methods(cls) for v in VERBS))
        ]
        for cls in handlers:
            self.patterns[cls] = list(
                dict.fromkeys(
                    [
                        *(route.pattern for route in self.routes.get(cls, ())),
                        *class_routes(self.interpreter, cls),
                    ]
                )
            )
        bases = {
            base
            for cls in handlers
            for base in self.interpreter.mro(cls)[1:]
            if isinstance(base, Class)
        }
        return [
            cls
            for cls in handlers
            if cls not in bases or self.patterns[cls] or self._is_lost(cls, handlers)
        ]

    def _is_lost(self, cls: Class, handlers: list[Class]) -> bool:
        """Tell whether a base has a verb that no other handler runs."""
        others = [
            each
            for each in handlers
            if each is not cls and cls in self.interpreter.mro(each)
        ]
        return any(
            name in cls.methods
            and not any(self._owner(each, name) is cls for each in others)
            for name in (*VERBS, "on_message")
        )

    def _methods(self, cls: Class) -> set[str]:
        found: set[str] = set()
        for base in self.interpreter.mro(cls):
            if isinstance(base, Class):
                found |= set(base.frame.scope.bindings)
        return found

    # --- methods that Tornado calls ------------------------------------------------

    def _entries(self, cls: Class) -> Iterator[Entry]:
        made = []
        for name in ENTRIES:
            owner = self._owner(cls, name)
            if owner is not None:
                entry = self._entry(cls, owner, name)
                if entry is not None:
                    made.append(entry)
        verbs = [entry for entry in made if entry.name in VERBS]
        renders = any(_renders(frame) for verb in verbs for frame in verb.frames)
        for entry in made:
            if entry.name in ("get_current_user", "get_user_locale"):
                if any(entry.frame in verb.frames for verb in verbs) or not renders:
                    continue  # it is found on the way of who asks, if anybody does
                # A template may ask.
                entry.found = [found._replace(level=UNKNOWN) for found in entry.found]
            yield entry

    def _owner(self, cls: Class, name: str) -> Optional[Class]:
        for base in self.interpreter.mro(cls):
            if isinstance(base, Class) and name in base.frame.scope.bindings:
                return base
        return None

    def _entry(self, cls: Class, owner: Class, name: str) -> Optional[Entry]:
        interpreter = self.interpreter
        obj = interpreter.object_of(cls)
        node = owner.methods.get(name)
        frames: list[Frame] = []
        moved = ""
        for atom in interpreter.attribute(obj, name):
            if isinstance(atom, Moved):
                atom, moved = atom.func, "executor"
            frames += self._frames_of(atom, cls, name)
        if not frames:
            return None
        node = node if node is not None else frames[0].node
        stays = is_async_entry(node) or self._stays(cls, name)
        unblocked = self._unblocked(owner, cls, node, moved, stays)
        found, reached = self.reach.search(frames)
        return Entry(
            name, owner, cls, frames[0], node, unblocked, stays, found, reached
        )

    def _frames_of(self, atom: Atom, cls: Class, name: str) -> list[Frame]:
        interpreter = self.interpreter
        if isinstance(atom, Obj):
            atoms = interpreter.attribute(atom, "__call__")
            return [f for each in atoms for f in self._frames_of(each, cls, name)]
        if not isinstance(atom, Func):
            return []
        passed = [interpreter.no_args]
        if name == "initialize":
            passed = interpreter.initial.get(cls) or passed
        return [interpreter.frame_for(atom, args) for args in passed]

    def _stays(self, cls: Class, name: str) -> bool:
        """Tell whether a sync method is on the loop though its class is unblocked.

        As `tornado_unblock._handlers.plan` decides it, for any of the verbs.
        """
        bases = self.interpreter.mro(cls)
        if name in ON_LOOP or "tornado.web.FallbackHandler" in bases:
            return True
        if "tornado.websocket.WebSocketHandler" in bases:
            return name in ASKED_AHEAD and self._is_coroutine(cls, "prepare")
        coroutines = [verb for verb in VERBS if self._is_coroutine(cls, verb)]
        if name in BEFORE_VERB:
            # What `authenticated` makes is no coroutine; it returns one.
            coroutines = [v for v in coroutines if not self._is_wrapped(cls, v)]
        return name not in VERBS and bool(coroutines)

    def _is_coroutine(self, cls: Class, name: str) -> bool:
        owner = self._owner(cls, name)
        return owner is not None and is_async_entry(owner.methods.get(name))

    def _is_wrapped(self, cls: Class, name: str) -> bool:
        owner = self._owner(cls, name)
        node = owner.methods.get(name) if owner is not None else None
        return isinstance(node, ast.AsyncFunctionDef) and (
            "authenticated" in decorator_names(node)
        )

    def _unblocked(
        self, owner: Class, cls: Class, node: Any, moved: str, stays: bool
    ) -> str:
        if is_async_entry(node):
            return ""
        if isinstance(node, FunctionNode) and self._is_unblocked(node, owner.frame):
            return "method"
        if moved or stays:
            return moved
        for base in self.interpreter.mro(cls):
            if isinstance(base, Class) and self._is_unblocked(base.node, base.parent):
                return "class"
        return "application" if self.served.unblocked(cls) else ""

    def unblocked_by(self, path: str) -> str:
        """Return where a file's applications are unblocked, or ""."""
        return self.served.unblocked_by(path)

    def _is_unblocked(self, node: Any, frame: Frame) -> bool:
        return any(
            isinstance(atom, Ext) and atom.path in _UNBLOCK
            for decorator in node.decorator_list
            for atom in self.interpreter.eval(decorator, frame)
        )

    # --- what comes of it ----------------------------------------------------------

    def _findings(self, entries: list[Entry]) -> list[Finding]:
        merged: dict[Any, Finding] = {}
        for entry in entries:
            for found in entry.found:
                finding = self._finding(entry, found)
                place = (finding.path, finding.line, finding.kind)
                key = (entry.endpoint, entry.owner, *place, finding.unblocked)
                known = merged.get(key)
                if known is None:
                    merged[key] = finding
                    continue
                surer = min(
                    known, finding, key=lambda f: CONFIDENCE.index(f.confidence)
                )
                merged[key] = replace(
                    surer,
                    handlers=_joined(known.handlers, finding.handlers),
                    routes=_joined(known.routes, finding.routes),
                )
        return list(merged.values())

    def _finding(self, entry: Entry, found: Found) -> Finding:
        last = found.steps[-1]
        module = next(f.module for f in entry.frames if f.module.path == last.path)
        return Finding(
            endpoint=entry.endpoint,
            handlers=(entry.cls.name,),
            routes=tuple(self.patterns.get(entry.cls, ())),
            path=last.path,
            line=found.leaf.line,
            column=found.leaf.column,
            kind=found.leaf.kind,
            what=found.leaf.what,
            rule=found.leaf.path,
            source=module.line(found.leaf.line),
            confidence=CONFIDENCE[found.level],
            steps=found.steps,
            unblocked=entry.unblocked,
            is_async=is_async_entry(entry.node),
        )

    def _summaries(self, chosen: list[Class], entries: list[Entry]) -> list[Handler]:
        by_class: dict[Class, list[Entry]] = {}
        for entry in entries:
            by_class.setdefault(entry.cls, []).append(entry)
        found = []
        for cls in chosen:
            own = by_class.get(cls, [])
            found.append(
                Handler(
                    cls.name,
                    cls.module.path,
                    cls.node.lineno,
                    tuple(self.patterns[cls]),
                    {entry.name: entry.unblocked for entry in own if entry.unblocked},
                    tuple(e.name for e in own if e.found and not e.unblocked),
                )
            )
        return sorted(found, key=lambda h: (h.path, h.line))


def _renders(frame: Frame) -> bool:
    """Tell whether a function renders a template."""
    return any(map(renders, frame.scope.calls))


def is_async_entry(node: Any) -> bool:
    """Tell whether a method is a coroutine; a lambda is none."""
    return isinstance(node, FunctionNode) and is_async(node)


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _forget(interpreter: Interpreter) -> None:
    """Let everything be evaluated again."""
    interpreter.forget()


__all__ = ["Entry", "Note", "Report", "Scan", "scan"]
