"""Collects operations (service, name, description) from public packages, and English from WordNet.

Operations of web APIs and functions of libraries are named and described as the tools of MCP servers are. No text is taken
from an MCP server: those are what the result is tried on.
"""

import ast
import gzip
import html
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

from tokens import words

MOST_OF_A_PACKAGE = 6000
DESCRIPTION = 600
ASIDE = re.compile(r"(^|/)(tests?|testing|_vendor|examples?|docs|benchmarks?|aio)(/|\.py)|/test_|/async_|async_api")
SECTIONS = re.compile(r"\n\s*(?::param|:type|Args:|Arguments:|Parameters|Returns|Raises|Example|>>>|\.\. |@)")


def spelled(name):
    """A name as words."""
    return " ".join(words(name))


def clean(text):
    """A description without markup and addresses, in one line."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r":[a-z]+:`~?([^`]*)`", r"\1", text)
    text = re.sub(r"https?://\S+", " ", text)
    return " ".join(re.sub(r"[`*|]+", " ", text).split())


def is_english(text):
    return len(text) >= 12 and " " in text and sum(c.isascii() for c in text) > 0.95 * len(text)


def members(path):
    """The files in a package, each with a function that reads it."""
    if path.suffix in (".whl", ".zip"):
        archive = zipfile.ZipFile(path)
        for name in archive.namelist():
            yield name, lambda name=name: archive.read(name)
    else:
        archive = tarfile.open(path)
        for member in archive:
            if member.isfile():
                yield member.name, lambda member=member: archive.extractfile(member).read()


def aws(path):
    """Operations of the newest API of each AWS service."""
    newest = {}
    for name, read in members(path):
        found = re.match(r"botocore/data/([^/]+)/([^/]+)/service-2\.json(\.gz)?$", name)
        if found and newest.get(found[1], ("",))[0] < found[2]:
            newest[found[1]] = (found[2], name, read)
    for service, (_, name, read) in newest.items():
        text = gzip.decompress(read()) if name.endswith(".gz") else read()
        model = json.loads(text)
        title = spelled("aws " + model["metadata"].get("serviceId", service))
        for operation, described in model["operations"].items():
            yield title, spelled(operation), described.get("documentation", ""), ""


def google(path):
    """Methods of Google's discovery documents."""
    def methods(resource, title, parent):
        for name, method in resource.get("methods", {}).items():
            one = parent[:-1] if parent.endswith("s") and name not in ("list", "search") else parent
            yield title, spelled(f"{name} {one}"), method.get("description", ""), ""
        for name, inner in resource.get("resources", {}).items():
            yield from methods(inner, title, name)

    for name, read in members(path):
        if "/discovery_cache/documents/" in name and name.endswith(".json"):
            document = json.loads(read())
            if not re.search("alpha|beta", document.get("version", "")):
                title = document.get("title", document.get("name", "")).replace("API", "")
                yield from methods(document, spelled(title), "")


def openapi(path):
    """Operations of GitHub's OpenAPI document."""
    for name, read in members(path):
        if name.endswith("generated/api.github.com.json"):
            for item in json.loads(read())["paths"].values():
                for operation in item.values():
                    if isinstance(operation, dict) and "summary" in operation:
                        yield "github", spelled(operation["summary"]), operation.get("description", ""), ""


def functions(path):
    """Public functions with their docstrings."""
    package = spelled(re.split(r"[-_]\d", path.name)[0])
    service = re.sub(r"\b(python|client|api|sdk|py|mgmt|lib)\b", "", package).strip() or package
    count = 0
    for name, read in members(path):
        if not name.endswith(".py") or ASIDE.search(name):
            continue
        try:
            tree = ast.parse(read())
        except (SyntaxError, ValueError):
            continue
        for holder in ast.walk(tree):
            if not isinstance(holder, (ast.Module, ast.ClassDef)):
                continue
            context = spelled(holder.name if isinstance(holder, ast.ClassDef) else Path(name).stem)
            context = re.sub(r"\b(operations|mixin|base|client|apis?)\b", "", context).strip()
            for function in holder.body:
                is_function = isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
                docstring = is_function and not function.name.startswith("_") and ast.get_docstring(function)
                if docstring:
                    yield service, spelled(function.name), SECTIONS.split(docstring)[0], context
                    count += 1
                    if count == MOST_OF_A_PACKAGE:
                        return


def reader(path):
    if path.name.startswith("botocore"):
        return aws(path)
    if path.name.startswith("google_api_python_client"):
        return google(path)
    if path.name.startswith("octokit"):
        return openapi(path)
    return functions(path)


def operations(folder):
    """All operations, each name with the beginning of its description once."""
    found, seen = [], set()
    for path in sorted(folder.iterdir()):
        before = len(found)
        for service, name, description, context in reader(path):
            description = clean(description)[:DESCRIPTION]
            if name and len(name) <= 80 and is_english(description) and (name, description[:80]) not in seen:
                seen.add((name, description[:80]))
                context = context if len(context.split()) <= 4 and context not in name else ""
                found.append({"service": service, "name": name, "description": description, "context": context})
        print(path.name, len(found) - before, flush=True)
    return found


def wordnet(folder):
    """Words with their definitions, sentences that show how they are used, and the words alone."""
    definitions, examples, lemmas = [], [], set()
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text().splitlines():
            if line.startswith("  "):
                continue
            head, _, gloss = line.partition("|")
            fields = head.split()
            own = [fields[4 + 2 * place].split("(")[0].replace("_", " ") for place in range(int(fields[3], 16))]
            is_taxon = part == "noun" and fields[1] in ("05", "20") and own[0][0].isupper()
            if not is_taxon:
                definition = re.split(r';\s*"', gloss.strip())[0].strip()
                definitions.append(f"{', '.join(own[:3])}: {definition[:250]}")
                examples += re.findall(r'"([^"]{8,120})"', gloss)
                lemmas.update(word.lower() for word in own if word.isascii() and len(word) < 30)
    return {"definitions": definitions, "examples": examples, "lemmas": sorted(lemmas)}


if __name__ == "__main__":
    packages, dictionary, output = map(Path, sys.argv[1:])
    output.write_text(json.dumps({"operations": operations(packages), "wordnet": wordnet(dictionary)}))
