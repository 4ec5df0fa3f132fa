"""Access with tokens, and the public catalog."""

from harness import create_token, wait_until
from official.api import Api, path_name, start_registry
from official.registrations import HANDFUL


def access(rules):
    """Once a token exists, every request needs one. With --public-catalog, requests to this API do not."""
    for arguments, status in [([], 401), (["--public-catalog"], 200)]:
        registry = start_registry(f"access-{status}", *arguments)
        registry.curl("/v1/servers", body=HANDFUL[0])
        token = create_token(registry, "reader", "read")
        api = Api(registry, rules)
        wait_until(lambda: api.send("GET", "/v1/servers").status == 401, 5, "the registry requires a token")
        for path in [
            "/v0.1/servers",
            "/v0/servers",
            f"/v0.1/servers/{path_name('modelcontextprotocol/server-filesystem')}/versions",
        ]:
            api.get(path, status)
            api.get(path, authorization=f"Bearer {token}")
            assert api.send("POST", path).status in (401, 405), f"POST {path}"
        page = api.send("GET", "/v1/servers", origin="https://github.com")
        assert page.status == 403, f"a page of another origin may read more than the catalog: {page.status}"
        registry.stop()
    print("\ntokens: 401 without one, except with --public-catalog, and then only for this API")
