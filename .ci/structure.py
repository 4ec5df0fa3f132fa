#!/usr/bin/env python3
"""Checks the structure of src/: no file imports from a layer above its own, no files import each other in a circle, and no two
types have the same name, unless each is private to its file.

Re-exports in a mod.rs are followed to the file that defines the item. Test modules and comments do not count.
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

LAYERS = ["model", "search", "store", "registry", "http", "cli"]
"""A layer may import from those before it. `client` and `mcp` are not part of this order: see ALLOWED."""

ALLOWED = {"client": {"model", "client"}, "mcp": {"model", "search", "store", "registry", "client", "mcp"}}

TESTS = re.compile(r"#\[cfg\((?:all\()?test[^\n]*\]\n(?:#\[[^\n]*\]\n)*mod \w+ \{.*?^\}", re.M | re.S)
TEST_FILE = re.compile(r"#\[cfg\((?:all\()?test[^\n]*\]\n\s*(?:pub(?:\([^)]*\))? )?mod (\w+);")
COMMENT = re.compile(r"^\s*//[^\n]*", re.M)
USE = re.compile(r"^[ \t]*(?P<visibility>pub(?:\([^)]*\))? )?use (?P<tree>[^;]+);", re.M)
MOD = re.compile(r"^\s*(?:pub(?:\([^)]*\))? )?mod (\w+);", re.M)
TYPE = re.compile(r"^[ \t]*(?P<visibility>pub(?:\([^)]*\))? )?(?:struct|enum|trait|union|type) (?P<name>\w+)", re.M)
PATH = re.compile(r"(?<![\w:])(?:super|crate)(?:::\w+)+")


def module_of(file):
    parts = file.relative_to(SOURCE).with_suffix("").parts
    if parts in (("lib",), ("main",)):
        return ()
    return parts[:-1] if parts[-1] == "mod" else parts


def leaves(tree, prefix=()):
    """The paths of a tree of imports, under their original names."""
    depth, part, parts = 0, "", []
    for character in tree:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts, part = [*parts, part], ""
        else:
            part += character
    for part in filter(None, (part.strip() for part in [*parts, part])):
        group = re.fullmatch(r"((?:\w+::)*)\{(.*)\}", part, re.S)
        if group:
            yield from leaves(group[2], (*prefix, *filter(None, group[1].split("::"))))
        else:
            path = (*prefix, *part.split(" as ")[0].strip().split("::"))
            yield path[:-1] if path[-1] == "self" and len(path) > 1 else path


class Crate:
    def __init__(self):
        self.texts = {}
        tests = set()
        for file in sorted(SOURCE.rglob("*.rs")):
            text = COMMENT.sub("", TESTS.sub("", file.read_text()))
            tests.update((*module_of(file), name) for name in TEST_FILE.findall(text))
            self.texts[module_of(file)] = (file.name in ("mod.rs", "lib.rs"), TEST_FILE.sub("", text))
        for module in tests:
            del self.texts[module]
        self.exports = {}
        for module, (is_parent, text) in self.texts.items():
            for use in USE.finditer(text) if is_parent else ():
                for path in leaves(use["tree"]) if use["visibility"] else ():
                    target = self.absolute(module, path)
                    if target and path[-1] != "*":
                        self.exports[(*module, path[-1])] = target

    def absolute(self, module, path):
        """A path from the root of the crate; nothing for one of another crate."""
        if path[0] == "crate":
            return tuple(path[1:])
        ups = next((place for place, part in enumerate(path) if part != "super"), len(path))
        if ups:
            return (*module[: len(module) - ups], *path[ups:])
        if path[0] in MOD.findall(self.texts[module][1]):
            return (*module, *path)
        return None

    def file_of(self, path):
        """The module whose file defines what a path names."""
        for _ in range(8):
            export = next(
                (length for length in range(len(path), 0, -1) if path[:length] in self.exports
                 and not (path[:length] in self.texts and len(path) > length)), None)
            if export is None:
                break
            path = self.exports[path[:export]] + path[export:]
        return next(path[:length] for length in range(len(path), -1, -1) if path[:length] in self.texts)

    def imports(self):
        """The modules that each module imports from."""
        found = {}
        for module, (is_parent, text) in self.texts.items():
            used = [path for use in USE.finditer(text) if not (is_parent and use["visibility"])
                    for path in leaves(use["tree"])]
            used += [tuple(match[0].split("::")) for match in PATH.finditer(text)]
            targets = (self.absolute(module, path) for path in used)
            found[module] = {self.file_of(target) for target in targets if target} - {module, ()}
        return found


def circles(imports):
    """The sets of modules that reach each other."""
    reached = {}
    for start in imports:
        seen, rest = set(), [start]
        while rest:
            new = imports.get(rest.pop(), set()) - seen
            seen |= new
            rest += new
        reached[start] = seen
    groups = {frozenset(other for other in reached[module] if module in reached[other])
              for module in imports if module in reached[module]}
    return [{"::".join(module) for module in group} for group in groups]


def upward(imports):
    for module, targets in sorted(imports.items()):
        for target in sorted(targets):
            if module[:1] and module[0] in ALLOWED and target[0] in {*LAYERS, *ALLOWED} - ALLOWED[module[0]]:
                yield module, target
            elif module[:1] and module[0] in LAYERS and target[0] in LAYERS:
                if LAYERS.index(target[0]) > LAYERS.index(module[0]):
                    yield module, target


def homonyms(crate):
    """The types that share a name, and at least one of them is visible to other files."""
    found = {}
    for module, (_, text) in crate.texts.items():
        # An associated type is part of a trait, and a local type of a function: both are indented and private.
        for match in TYPE.finditer(text):
            if match["visibility"] or not match[0].startswith((" ", "\t")):
                found.setdefault(match["name"], {}).setdefault(module, match["visibility"])
    for name, places in sorted(found.items()):
        if len(places) > 1 and any(places.values()):
            yield name, places


def main():
    crate = Crate()
    imports = crate.imports()
    faults = [f"{'::'.join(module)} imports from {'::'.join(target)}, a layer above" for module, target in upward(imports)]
    faults += [f"these import each other: {', '.join(sorted(circle))}" for circle in circles(imports)]
    for name, places in homonyms(crate):
        faults.append(f"different types are named {name}: in {', '.join('::'.join(place) for place in places)}")
    for fault in faults:
        print(fault, file=sys.stderr)
    edges = sum(map(len, imports.values()))
    print(f"{len(imports)} files, {edges} imports: {len(faults) or 'no'} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
