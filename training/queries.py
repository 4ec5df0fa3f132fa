"""Queries as people and models type them, made from the names and first sentences of operations.

An operation is asked for in other words than its own, so that the table learns that "open a ticket" and "create issue" mean
the same.
"""

import re

# What else is said for a verb that a name begins with.
VERBS = {
    "create": "create, open, make, add, set up, start, file, new, generate, raise",
    "add": "add, attach, put, insert, include, append, create",
    "delete": "delete, remove, get rid of, drop, erase, destroy, clean up",
    "remove": "remove, delete, take out, get rid of, unassign",
    "list": "list, show, show me all, what are the, see all, get all, which, enumerate, find all",
    "get": "get, fetch, show, read, look up, retrieve, view, find out, see, check, give me, what is the",
    "describe": "describe, show details of, get info about, look up, inspect, what is the state of",
    "update": "update, change, edit, modify, alter, rename, set",
    "modify": "modify, change, edit, update",
    "put": "put, write, store, save, upload, set",
    "set": "set, change, configure, put, assign",
    "search": "search, find, look for, query, search for, look up",
    "find": "find, search for, look for, locate, where is",
    "query": "query, ask, search, run a query on, select from",
    "send": "send, post, write, deliver, email, message, notify",
    "post": "post, send, publish, write, submit",
    "start": "start, launch, run, boot, turn on, begin, kick off",
    "stop": "stop, halt, shut down, turn off, end, kill, pause",
    "run": "run, execute, start, launch, perform",
    "execute": "execute, run, perform, call",
    "cancel": "cancel, abort, stop, call off",
    "copy": "copy, duplicate, clone",
    "move": "move, rename, transfer, relocate",
    "upload": "upload, send, put, push",
    "download": "download, fetch, save, get, pull",
    "enable": "enable, turn on, switch on, activate",
    "disable": "disable, turn off, switch off, deactivate",
    "merge": "merge, combine, join, accept",
    "import": "import, load, bring in",
    "export": "export, dump, save as, download",
    "read": "read, open, show, view, load, get the contents of, print",
    "write": "write, save, store, put text into, output",
    "open": "open, launch, go to, visit, navigate to",
    "close": "close, finish, end, resolve",
    "click": "click, press, tap, push, hit",
    "navigate": "navigate to, go to, open, visit, browse to",
    "convert": "convert, turn, transform, change, translate",
    "restart": "restart, reboot, bounce, reload",
    "reboot": "reboot, restart",
    "deploy": "deploy, release, ship, roll out, publish",
    "rollback": "roll back, undo, revert",
    "assign": "assign, give, allocate",
    "invite": "invite, add, ask",
    "register": "register, sign up, enroll, add",
    "schedule": "schedule, plan, book, set up",
    "translate": "translate, convert",
    "calculate": "calculate, compute, work out, figure out",
    "compute": "compute, calculate, work out",
    "validate": "validate, check, verify",
    "verify": "verify, check, confirm",
    "monitor": "monitor, watch, keep an eye on, track",
    "subscribe": "subscribe to, follow, watch, get notified about",
    "lock": "lock, protect",
    "unlock": "unlock, release",
    "archive": "archive, put away",
    "restore": "restore, bring back, recover, undelete",
    "render": "render, draw, generate",
    "plot": "plot, draw, chart, graph",
    "scrape": "scrape, crawl, extract text from",
    "crawl": "crawl, scrape",
    "summarize": "summarize, sum up, give a summary of",
    "reply": "reply to, answer, respond to",
    "comment": "comment on, reply to, add a note to",
}

# What else is said for a thing.
NOUNS = {
    "pull request": "pull request, PR, merge request, code review",
    "merge request": "merge request, MR, pull request",
    "pull": "pull request, PR",
    "issue": "issue, ticket, bug, bug report, problem",
    "ticket": "ticket, issue, support request",
    "incident": "incident, outage, alert",
    "repository": "repository, repo, project, git repo",
    "repo": "repo, repository",
    "email": "email, mail, message, e-mail",
    "message": "message, text, chat message, DM",
    "mail": "mail, email",
    "file": "file, document",
    "files": "files, documents",
    "directory": "directory, folder",
    "folder": "folder, directory",
    "image": "image, picture, photo",
    "photo": "photo, picture, image",
    "images": "images, pictures, photos",
    "database": "database, DB",
    "spreadsheet": "spreadsheet, sheet, Excel file, workbook",
    "workbook": "workbook, Excel file, spreadsheet",
    "worksheet": "worksheet, sheet, tab",
    "event": "event, meeting, appointment",
    "meeting": "meeting, call, appointment",
    "calendar": "calendar, schedule, agenda",
    "user": "user, person, account, member",
    "users": "users, people, accounts, members",
    "member": "member, user, teammate",
    "instance": "instance, virtual machine, VM, server",
    "instances": "instances, VMs, servers, machines",
    "virtual machine": "VM, virtual machine, server",
    "droplet": "droplet, server, VM",
    "server": "server, machine, host",
    "pod": "pod, container",
    "pods": "pods, running containers",
    "deployment": "deployment, release, rollout",
    "namespace": "namespace",
    "cluster": "cluster",
    "function": "function, lambda",
    "bucket": "bucket, storage bucket",
    "object": "object, file",
    "note": "note, memo",
    "notes": "notes",
    "task": "task, to-do, todo item, reminder",
    "tasks": "tasks, todos, to-do list",
    "video": "video, clip",
    "channel": "channel, room",
    "conversation": "conversation, chat, thread",
    "payment": "payment, charge",
    "charge": "charge, payment",
    "invoice": "invoice, bill",
    "customer": "customer, client, buyer",
    "refund": "refund, money back",
    "subscription": "subscription, plan",
    "order": "order, purchase",
    "product": "product, item",
    "price": "price, cost, quote",
    "log": "log",
    "logs": "logs, log lines, error logs",
    "metric": "metric, measurement",
    "metrics": "metrics, statistics, stats",
    "alarm": "alarm, alert",
    "alert": "alert, alarm, notification",
    "monitor": "monitor, alert rule",
    "dashboard": "dashboard",
    "weather": "weather, forecast, temperature",
    "forecast": "forecast, weather",
    "route": "route, directions, way",
    "directions": "directions, route, how to get there",
    "location": "location, place, position",
    "place": "place, location, restaurant",
    "address": "address",
    "time": "time, clock",
    "date": "date, day",
    "stock": "stock, share, ticker",
    "page": "page, web page, site",
    "url": "URL, link, web page, website",
    "website": "website, web page, site",
    "browser": "browser, chrome, web browser",
    "screenshot": "screenshot, screen capture, picture of the page, image of the screen",
    "element": "element, button, link",
    "text": "text",
    "document": "document, file, doc",
    "pdf": "PDF",
    "branch": "branch",
    "commit": "commit, change",
    "commits": "commits, history, changes",
    "release": "release, version",
    "workflow": "workflow, pipeline, CI job",
    "pipeline": "pipeline, build, CI",
    "comment": "comment, reply, remark",
    "label": "label, tag",
    "tag": "tag, label",
    "secret": "secret, password, credential, API key",
    "password": "password, credential",
    "key": "key",
    "domain": "domain, domain name",
    "record": "record, entry",
    "zone": "zone, domain",
    "firewall": "firewall",
    "contact": "contact, person",
    "lead": "lead, prospect",
    "deal": "deal, opportunity",
    "company": "company, business",
    "article": "article, paper, publication",
    "paper": "paper, article, research",
    "news": "news, headlines",
    "chart": "chart, graph, plot",
    "graph": "graph, chart",
    "table": "table",
    "row": "row, record",
    "rows": "rows, records",
    "column": "column, field",
    "query": "query, SQL",
    "collection": "collection",
    "index": "index",
    "model": "model",
    "flag": "flag, toggle, feature flag",
    "track": "track, song",
    "tracks": "tracks, songs, music",
    "playlist": "playlist",
    "album": "album, record",
    "job": "job, task",
    "process": "process, program",
    "processes": "processes, running programs",
    "command": "command, shell command",
    "volume": "volume, disk",
    "disk": "disk, volume",
    "image tag": "image tag",
    "webhook": "webhook, callback",
    "notification": "notification, alert",
    "permission": "permission, access",
    "permissions": "permissions, access rights",
    "group": "group, team",
    "team": "team, group",
    "role": "role",
    "policy": "policy, rule",
    "certificate": "certificate, TLS certificate, SSL cert",
    "memory": "memory, what I remember",
    "entity": "entity",
    "entities": "entities, facts",
    "transcript": "transcript, subtitles, captions",
    "translation": "translation",
    "currency": "currency, exchange rate",
    "distance": "distance, how far",
}

BEFORE = [""] * 6 + [
    "I need to ", "I want to ", "how do I ", "how to ", "can you ", "please ", "help me ", "find a tool to ",
    "a tool that can ", "is there something to ", "let me ", "we have to ", "I would like to ", "tool for ",
]
AFTER = [""] * 6 + [
    " please", " for me", " now", " quickly", " of this project", " in my account", " from last week", " called demo",
    " named test",
]
ARTICLES = ["", "", "a ", "the ", "my ", "our ", "this ", "some ", "an "]
WHERE = ["in ", "on ", "with ", "from ", "using "]
SENTENCE_WORDS = 18


def choices(table, word):
    return table[word].split(", ")


def things(random, names):
    """The same things by other names, some of them."""
    found, place = [], 0
    while place < len(names):
        two = " ".join(names[place:place + 2])
        word = names[place]
        if two in NOUNS and random.random() < 0.7:
            found.append(random.choice(choices(NOUNS, two)))
            place += 2
            continue
        if word in NOUNS and random.random() < 0.55:
            found.append(random.choice(choices(NOUNS, word)))
        elif word.endswith("s") and word[:-1] in NOUNS and random.random() < 0.4:
            found.append(random.choice(choices(NOUNS, word[:-1])) + "s")
        else:
            found.append(word)
        place += 1
    return " ".join(found)


def by_name(random, operation):
    """What somebody may type who needs this operation, made from its name."""
    first, *rest = operation["name"].split()
    context = operation["context"].split()
    if first in VERBS:
        verb = random.choice(choices(VERBS, first)) if random.random() < 0.75 else first
        query = f"{verb} {random.choice(ARTICLES)}{things(random, rest or context)}"
    else:
        query = things(random, [first, *rest] if rest else [first, *context])
    query = random.choice(BEFORE) + query
    if random.random() < 0.35:
        query += f" {random.choice(WHERE)}{operation['service']}"
    return " ".join((query + random.choice(AFTER)).split())


BASES = {
    "create": "create", "delete": "delete", "update": "update", "list": "list", "get": "get", "return": "get",
    "retrieve": "get", "remove": "remove", "add": "add", "set": "set", "send": "send", "read": "read", "write": "write",
    "search": "search", "run": "run", "start": "start", "stop": "stop",
}


def by_sentence(random, operation):
    """The same, made from the first sentence of its description; None if that is too short."""
    sentence = re.split(r"(?<=[a-z0-9)])[.:;]\s", operation["description"], maxsplit=1)[0].strip(". ").lower()
    names = sentence.split()[:SENTENCE_WORDS]
    if len(names) < 3:
        return None
    names = [word for word in names if random.random() > 0.12] or names
    base = BASES.get(names[0].rstrip("s"))
    if base:
        names[0] = random.choice(choices(VERBS, base))
    return random.choice(BEFORE) + things(random, names)
