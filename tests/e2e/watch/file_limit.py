"""The limit of open files, raised for many watchers."""

import resource

WATCHERS = 1000


def raise_file_limit():

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 2 * WATCHERS + 500, f"needs {2 * WATCHERS + 500} file descriptors, and ulimit -Hn says {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
