// npm's clients of Bitbucket, which nobody here wrote, on a server that `clients.py` has started: what they do with
// tokens, users, groups, projects and permissions.
//
// Arguments: the address of the server, and a folder with `@coderabbitai/bitbucket` installed, and
// `@atlassian-dc-mcp/bitbucket` unpacked as `dc-mcp`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, folder] = process.argv.slice(2);
const require = createRequire(join(folder, "package.json"));
const load = (path) => import(pathToFileURL(path).href);

const basic = (name) => `Basic ${Buffer.from(`${name}:${name}`).toString("base64")}`;

async function coderabbit() {
  const { createBitbucketServerClient } = await load(require.resolve("@coderabbitai/bitbucket/server"));
  const client = (authorization) =>
    createBitbucketServerClient({ baseUrl: `${url}/rest`, headers: { Accept: "application/json", Authorization: authorization } });
  const got = ({ data, error, response }) => {
    assert.ok(response.ok, `${response.url}: ${response.status} ${JSON.stringify(error)}`);
    return data;
  };
  const [mary, root] = [client(basic("mary")), client(basic("root"))];
  const path = { userSlug: "mary" };
  const made = got(
    await mary.PUT("/access-tokens/latest/users/{userSlug}", {
      params: { path },
      body: { name: "from npm", permissions: ["REPO_READ"], expiryDays: 7 },
    }),
  );
  const bearer = client(`Bearer ${made.token}`);
  const users = got(await bearer.GET("/api/latest/users", { params: { query: { filter: "sam" } } }));
  assert.deepEqual(users.values.map((user) => user.name), ["sam"]);
  const listed = got(await root.GET("/access-tokens/latest/users/{userSlug}", { params: { path } }));
  assert.ok(listed.values.some((token) => token.id === made.id && token.expiryDate > token.createdDate));
  const one = { ...path, tokenId: made.id };
  const renamed = got(
    await mary.POST("/access-tokens/latest/users/{userSlug}/{tokenId}", {
      params: { path: one },
      body: { name: "renamed", permissions: ["REPO_READ"] },
    }),
  );
  assert.equal(renamed.name, "renamed");
  const held = got(await root.GET("/api/latest/admin/permissions/groups"));
  assert.deepEqual(held.values, [{ group: { name: "administrators" }, permission: "ADMIN" }]);
  const repos = got(await mary.GET("/api/latest/repos", { params: { query: { projectkey: "PLAT", archived: "ALL" } } }));
  assert.deepEqual(repos.values.map((repo) => repo.slug), ["api", "app", "lib"]);
  const refused = await mary.GET("/api/latest/admin/permissions/users");
  assert.equal(refused.response.status, 401);
  assert.equal(refused.error.errors[0].exceptionName, "com.atlassian.bitbucket.AuthorisationException");
  const gone = await mary.DELETE("/access-tokens/latest/users/{userSlug}/{tokenId}", { params: { path: one } });
  assert.equal(gone.response.status, 204);
  console.log("@coderabbitai/bitbucket: a token made, read, renamed and revoked");
}

async function atlassianDcMcp() {
  const { OpenAPI, AuthenticationService, PermissionManagementService, ProjectService, RepositoryService } = await load(
    join(folder, "dc-mcp/package/build/bitbucket-client/index.js"),
  );
  Object.assign(OpenAPI, { BASE: `${url}/rest`, USERNAME: "root", PASSWORD: "root" });
  const names = (page) => page.values.map((value) => value.name);
  const projects = await ProjectService.getProjects(undefined, undefined, 0, 2);
  assert.deepEqual([names(projects), projects.isLastPage], [["DOCS", "OPS"], false]);
  const rest = await ProjectService.getProjects(undefined, undefined, projects.nextPageStart, 2);
  assert.deepEqual([names(rest), rest.isLastPage], [["PLAT"], true]);
  assert.equal((await ProjectService.getProject("~mary")).type, "PERSONAL");
  assert.deepEqual(names(await ProjectService.getRepositories("PLAT", 0, 25)), ["api", "app", "lib"]);
  assert.equal((await ProjectService.getRepository("PLAT", "app")).project.key, "PLAT");
  const groups = await PermissionManagementService.getGroupsWithAnyPermission();
  assert.deepEqual(groups.values.map((entry) => entry.group.name), ["administrators"]);
  assert.deepEqual(names(await PermissionManagementService.findUsersInGroup("ci-bots")), ["bot"]);
  assert.deepEqual(names(await PermissionManagementService.findUsersNotInGroup("developers")), ["root", "bot"]);
  assert.equal((await PermissionManagementService.getUsersWithAnyPermission2("PLAT", "app")).size, 0);
  const asked = { name: "of a project", permissions: ["PROJECT_READ"] };
  const made = await AuthenticationService.createAccessToken("PLAT", asked);
  assert.deepEqual(names(await AuthenticationService.getAllAccessTokens("PLAT")), ["of a project"]);
  await AuthenticationService.deleteById("PLAT", made.id);
  assert.equal((await AuthenticationService.getAllAccessTokens("PLAT")).size, 0);
  await assert.rejects(ProjectService.getProject("NONE"), (error) => error.status === 404);
  assert.ok(RepositoryService);
  console.log("@atlassian-dc-mcp/bitbucket: projects, permissions and a token of a project");
}

await coderabbit();
await atlassianDcMcp();
