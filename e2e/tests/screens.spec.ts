/** Every screen, once, in both themes: a picture to look at, and an accessibility audit. */
import { expect, test } from "../fixtures";

test("log-in, and a wrong password", async ({ app }) => {
  await app.page.goto("/");
  await expect(app.page.getByRole("button", { name: "Log in" })).toBeVisible();
  await app.inspect("login");
  await app.page.getByLabel("User").fill("demo");
  await app.page.getByLabel("Password").fill("not the password");
  await app.page.getByRole("button", { name: "Log in" }).click();
  await expect(app.page.getByRole("alert")).toContainText("wrong");
  await expect(app.page.getByLabel("User")).toHaveValue("demo");
  await app.inspect("login-refused");
});

test("networks, a network, a subnet's card, its ports", async ({ app, lab }) => {
  const { hosts, pods } = lab.status();
  await app.logIn();
  await expect(app.rows("network").first()).toBeVisible();
  await app.inspect("networks");

  await app.openNetwork(/shop/);
  await expect(app.rows("subnet").first()).toBeVisible();
  await app.inspect("network");

  await app.openSubnetOf(hosts[0].address);
  await app.inspect("subnet-information");
  await app.openTab("Ports");
  await expect(app.portAt(hosts[0].address)).toBeVisible();
  await app.inspect("subnet-ports-nodes");

  await app.openNetwork(/shop/);
  await app.openSubnetOf(pods[0].address);
  await app.openTab("Ports");
  await app.unfold();
  await expect(app.portAt(pods[0].address)).toBeVisible();
  await app.inspect("subnet-ports-pods");

  await app.portAt(pods[0].address).getByRole("link", { name: pods[0].name }).click();
  const port = app.panel(`Port ${pods[0].name}`);
  await expect(port).toContainText("The kernel accepted it");
  await app.inspect("port");
});

test("a network is made, and says what it is for while it is empty", async ({ app, expected }) => {
  await app.logIn();
  await app.page.getByRole("button", { name: "Create network" }).first().click();
  await expect(app.heading("Create network")).toBeVisible();
  const name = app.page.getByRole("main").getByLabel("Name", { exact: true });
  await expect(name).not.toHaveValue("");
  await name.fill("depot");
  await app.inspect("create-network");
  await app.page.getByRole("button", { name: "Create network" }).click();
  await expect(app.heading("depot")).toBeVisible();
  await expect(app.page.getByText("A subnet is a range of addresses of this network.")).toBeVisible();
  await app.inspect("network-empty");
  await app.page.getByRole("button", { name: "Delete" }).click();
  const sure = app.panel("Delete depot?");
  await expect(sure).toContainText("What goes with it");
  await app.inspect("delete-network");
  // The page may ask once more for what has just gone.
  expected.push(/404 .*\/networks\//);
  await sure.getByRole("button", { name: "Delete network" }).click();
  await expect(app.heading("Networks")).toBeVisible();
  await expect(app.rows("network").filter({ hasText: "depot" })).toHaveCount(0);
});

test("a narrow window shows everything without scrolling sideways", async ({ app }) => {
  await app.page.setViewportSize({ width: 320, height: 640 });
  await app.logIn();
  await expect(app.page.getByRole("table").or(app.page.locator(".empty")).first()).toBeVisible();
  const [needed, there] = await app.page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  expect(needed).toBeLessThanOrEqual(there);
  await app.inspect("networks-narrow");
});

test("clusters, and a cluster with its nodes", async ({ app, lab }) => {
  await app.logIn();
  await app.open("Clusters");
  const row = app.rows("cluster").filter({ hasText: lab.status().cluster!.name });
  await expect(row).toBeVisible();
  await app.inspect("clusters");
  await row.getByRole("link").first().click();
  await expect(app.heading("shop")).toBeVisible();
  await app.inspect("cluster");
  await app.openTab("Nodes");
  await expect(app.rows("node")).toHaveCount(3);
  await app.inspect("cluster-nodes");
});

test("what is not there says so", async ({ app, expected }) => {
  await app.logIn();
  const project = new URL(app.page.url()).pathname.split("/")[2];
  expected.push(/404/);
  await app.page.goto(`/p/${project}/networks/00000000-0000-7000-8000-000000000000`);
  await expect(app.page.getByText("There is no network with this ID")).toBeVisible();
  await app.inspect("network-not-found");
});
