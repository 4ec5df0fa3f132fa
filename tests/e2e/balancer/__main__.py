"""deploy/nginx.conf in a real nginx, in front of two stubs, and then in front of a primary and its standby."""

import shutil

from balancer.failover import primary_and_standby
from balancer.nginx import FOLDER
from balancer.stubs import stubs


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    stubs()
    primary_and_standby()
    print("balancer: passed")


if __name__ == "__main__":
    main()
