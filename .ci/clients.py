"""Clients that nobody here wrote read and write a server: PyPI's `bitbucketserver` and `atlassian-python-api`.

Argument: the program. It serves on a loopback port over a store that is thrown away; every page has two values.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from atlassian import Bitbucket
from bitbucketserver import BitbucketServer
from bitbucketserver.connection import BitbucketServerException

PAGE = 2
USERS = ["root", "mary", "sam", "eve", "bot"]
GROUPS = {"administrators": ["root"], "ci-bots": ["bot"], "developers": ["eve", "mary", "sam"]}
DIRECTORY = "\n".join(
    ["users:"]
    + [f"  - {{name: {name}, password_env: {name}}}" for name in USERS]
    + ["groups:"]
    + [f"  {name}: [{', '.join(members)}]" for name, members in GROUPS.items()]
)


def serve(program: str, folder: Path) -> tuple[subprocess.Popen, str]:
    """The server as a process, and its address, which its first line names."""
    (folder / "directory.yaml").write_text(DIRECTORY)
    command = [program, "serve", "--create", "--store", f"sqlite:{folder / 'store.db'}", "--listen", "127.0.0.1:0"]
    command += ["--directory", str(folder / "directory.yaml"), "--log-format", "json"]
    environment = os.environ | {name: name for name in USERS}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    first = server.stderr.readline()
    # A log that nobody reads would stop the server once the pipe is full.
    subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
    return server, json.loads(first)["url"]


def refused(status: int, call, *arguments) -> None:
    """The call is refused with this status, in the form of errors that the client understands."""
    try:
        call(*arguments)
    except BitbucketServerException as error:
        assert error.response.status_code == status, error.response.status_code
        assert error.errors and error.errors[0]["message"], error.response.text
    else:
        raise AssertionError(f"{call.__name__}{arguments} was not refused")


def tokens(url: str) -> int:
    """Lists, creates, updates and deletes access tokens of users."""
    mary, root, sam = (BitbucketServer(url, basic_auth=(name, name)) for name in ["mary", "root", "sam"])
    for client in (mary, root, sam):
        client.conn.page_limit = PAGE

    made = [mary.create_user_access_token("mary", f"token {n}", ["PROJECT_READ", "REPO_WRITE"]) for n in range(5)]
    assert len({token.token for token in made}) == 5
    assert all(len(token.id) == 12 and token.user.slug == "mary" for token in made)
    for reader in (mary, root):
        listed = reader.user_access_tokens("mary")
        assert [token.id for token in listed] == [token.id for token in made], listed

    bearer = BitbucketServer(url, bearer_token=made[0].token)
    assert bearer.current_user().name == "mary"
    refused(401, bearer.create_user_access_token, "mary", "from a token", ["REPO_READ"])

    root.update_user_access_token("mary", made[1].id, "narrowed", ["PROJECT_READ", "REPO_READ"])
    read = mary.user_access_token("mary", made[1].id)
    assert (read.name, read.permissions) == ("narrowed", ["PROJECT_READ", "REPO_READ"]), read
    refused(400, mary.update_user_access_token, "mary", made[1].id, None, ["REPO_ADMIN"])

    listed[2].delete()
    root.delete_user_access_token("mary", made[3].id)
    left = [token.id for token in mary.user_access_tokens("mary")]
    assert left == [made[n].id for n in (0, 1, 4)], left
    refused(404, mary.user_access_token, "mary", made[3].id)
    refused(404, root.user_access_tokens, "nobody")
    refused(401, sam.user_access_tokens, "mary")
    refused(401, root.create_user_access_token, "mary", "for another", ["REPO_READ"])
    refused(400, mary.create_user_access_token, "mary", "too much", ["ADMIN"])
    return len(made)


def directory(url: str) -> int:
    """Reads users, groups and members."""
    client = BitbucketServer(url, basic_auth=("mary", "mary"))
    client.conn.page_limit = PAGE
    assert [user.name for user in client.users()] == USERS
    assert sorted(client.groups()) == sorted(GROUPS)
    assert sorted(user.name for user in client.group_membership("developers")) == GROUPS["developers"]
    assert client.user("sam").slug == "sam" and client.username == "mary"

    other = Bitbucket(url=url, username="mary", password="mary", cloud=False)
    assert sorted(other.get_groups(limit=PAGE)) == sorted(GROUPS)
    for group, members in GROUPS.items():
        found = sorted(member["name"] for member in other.group_members(group, limit=PAGE))
        assert found == members, (group, found)
    assert [user["name"] for user in other.get_users_info(limit=PAGE)] == USERS
    page = other.get_users(limit=PAGE)
    assert (page["size"], page["isLastPage"]) == (PAGE, False), page
    assert [user["name"] for user in other.get_users(user_filter="eve")["values"]] == ["eve"]
    return len(USERS) + len(GROUPS)


def main() -> None:
    """Runs both clients against one server; an assertion says what they did not find."""
    with tempfile.TemporaryDirectory() as folder:
        server, url = serve(sys.argv[1], Path(folder))
        try:
            print(f"access tokens: {tokens(url)} made and read back")
            print(f"directory: {directory(url)} users and groups")
        finally:
            server.terminate()
            assert server.wait(timeout=60) == 0, server.returncode


if __name__ == "__main__":
    main()
