"""Clients that nobody here wrote read and write a server: PyPI's `bitbucketserver`, `atlassian-python-api` and
`stashy`, and those of npm that `clients.mjs` beside this file has.

Arguments: the program, and the folder of the npm packages. It serves on a loopback port over a store that is thrown
away; every page has two values.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import stashy
from atlassian import Bitbucket
from atlassian.bitbucket.server import Server
from bitbucketserver import BitbucketServer
from bitbucketserver.connection import BitbucketServerException

PAGE = 2
USERS = ["root", "mary", "sam", "eve", "bot"]
GROUPS = {"administrators": ["root"], "ci-bots": ["bot"], "developers": ["eve", "mary", "sam"]}
PROJECTS = {"DOCS": ["site"], "OPS": [], "PLAT": ["api", "app", "lib"]}
PERSONAL = {"~mary": ["dotfiles"]}
DIRECTORY = "\n".join(
    ["users:"]
    + [f"  - {{name: {name}, password_env: {name}}}" for name in USERS]
    + ["groups:"]
    + [f"  {name}: [{', '.join(members)}]" for name, members in GROUPS.items()]
    + ["projects:"]
    + [f"  '{key}': [{', '.join(slugs)}]" for key, slugs in (PROJECTS | PERSONAL).items()]
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
    assert client.test_connection() and client.current_user().displayName == "mary"
    refused(401, BitbucketServer, url, ("mary", "wrong"))
    admins = client.users(filters={"permission.1": "LICENSED_USER", "permission.2": "ADMIN"})
    assert [user.name for user in admins] == ["root"], admins

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


def permissions(url: str) -> int:
    """Reads projects, repositories and who holds which permission, object by object."""
    mary, root = (BitbucketServer(url, basic_auth=(name, name)) for name in ["mary", "root"])
    for client in (mary, root):
        client.conn.page_limit = PAGE
    assert [project.key for project in mary.projects()] == list(PROJECTS)
    assert [project.key for project in mary.projects(name="pla")] == ["PLAT"]
    assert mary.projects(permission="PROJECT_ADMIN") == [] and len(root.projects(permission="PROJECT_ADMIN")) == 3
    assert mary.project("~mary").type == "PERSONAL"
    assert [repo.slug for repo in mary.repos("PLAT")] == PROJECTS["PLAT"]
    assert [repo.slug for repo in mary.search_repos(repo_name="ap", project_name="plat")] == ["api", "app"]
    assert mary.repo("PLAT", "app").project.key == "PLAT"
    assert root.project_user_permissions("PLAT") == [] and root.project_group_permissions("PLAT") == []
    assert sorted(user["name"] for user in root.project_user_no_permissions("PLAT")) == sorted(USERS)
    assert root.project_default_permission("PLAT", "PROJECT_READ") is True
    assert root.project_default_permission("PLAT", "PROJECT_WRITE") is False
    assert root.repo_user_permissions("PLAT", "app") == [] and root.repo_group_permissions("PLAT", "app") == []
    refused(401, mary.project_user_permissions, "PLAT")
    refused(404, root.project, "NONE")
    refused(404, root.repo, "PLAT", "none")

    server = Server(url, username="root", password="root")
    assert [project.key for project in server.projects.each()] == list(PROJECTS)
    assert server.projects.get("PLAT", by="name").key == "PLAT"
    project = server.projects.get("PLAT")
    assert [repo.slug for repo in project.repos.each()] == PROJECTS["PLAT"]
    repo = project.repos.get("app")
    assert (repo.slug, project.name) == ("app", "PLAT")
    assert project.repos.exists("lib") and not project.repos.exists("none") and not server.projects.exists("NONE")
    for place in (project, repo):
        assert list(place.users.each()) == [] and list(place.groups.each(filter="x")) == []
        assert sorted(group.name for group in place.groups.each_none()) == sorted(GROUPS)
        assert [user.get_data("name") for user in place.users.each_none(filter="mary")] == ["mary"]
    assert [(group.name, group.permission) for group in server.groups.each()] == [("administrators", "ADMIN")]
    held = {user.name: user.permission for user in server.users.each()}
    assert held == {name: "ADMIN" if name == "root" else "LICENSED_USER" for name in USERS}, held

    other = Bitbucket(url=url, username="root", password="root", cloud=False)
    assert [project["key"] for project in other.project_list()] == list(PROJECTS)
    assert [repo["slug"] for repo in other.repo_list("PLAT", limit=PAGE)] == PROJECTS["PLAT"]
    assert other.project_exists("DOCS") and not other.project_exists("NONE")
    assert other.project_users_with_administrator_permissions("PLAT") == []
    assert other.project_default_permissions("PLAT", "PROJECT_READ") == {"permitted": True}
    return len(PROJECTS)


def through_stashy(url: str) -> int:
    """Reads users, groups, projects and permissions."""
    stash = stashy.connect(url, "root", "root")
    assert [user["name"] for user in stash.admin.users] == USERS
    assert sorted(group["name"] for group in stash.admin.groups) == sorted(GROUPS)
    groups = stash.admin.groups
    assert sorted(user["name"] for user in groups.more_members("developers")) == GROUPS["developers"]
    assert sorted(user["name"] for user in groups.more_non_members("developers")) == ["bot", "root"]
    assert [group["name"] for group in stash.admin.users.more_members("sam")] == ["developers"]
    assert [group["name"] for group in stash.admin.users.more_non_members("sam")] == ["administrators", "ci-bots"]
    assert [entry["permission"] for entry in stash.admin.permissions.groups] == ["ADMIN"]
    assert len(list(stash.admin.permissions.users)) == len(USERS) and not list(stash.admin.permissions.users.none())
    assert [project["key"] for project in stash.projects] == list(PROJECTS)
    assert stash.projects["PLAT"].get()["links"]["self"][0]["href"].endswith("/projects/PLAT")
    assert [repo["slug"] for repo in stash.projects["PLAT"].repos] == PROJECTS["PLAT"]
    assert [repo["slug"] for repo in stash.repos] == [slug for slugs in (PROJECTS | PERSONAL).values() for slug in slugs]
    assert stash.projects["PLAT"].repos["app"].get()["state"] == "AVAILABLE"
    assert list(stash.projects["PLAT"].permissions.users) == []
    try:
        stash.projects["NONE"].get()
    except stashy.errors.NotFoundException as error:
        assert str(error) == "Project NONE does not exist.", error
    else:
        raise AssertionError("a project was found that is not there")
    return len(USERS)


def main() -> None:
    """Runs all clients against one server; an assertion says what they did not find."""
    with tempfile.TemporaryDirectory() as folder:
        server, url = serve(sys.argv[1], Path(folder))
        try:
            print(f"access tokens: {tokens(url)} made and read back")
            print(f"directory: {directory(url)} users and groups")
            print(f"permissions: {permissions(url)} projects")
            print(f"stashy: {through_stashy(url)} users")
            script = Path(__file__).with_name("clients.mjs")
            subprocess.run(["node", script, url, Path(sys.argv[2]).resolve()], check=True, timeout=60)
        finally:
            server.terminate()
            assert server.wait(timeout=60) == 0, server.returncode


if __name__ == "__main__":
    main()
