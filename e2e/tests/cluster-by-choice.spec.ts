/** A cluster created in the browser with nodes from the lab: it becomes ready by itself, and goes with everything of it. */
import { expect, test } from "../fixtures";

/** How long hosts may take to be made and join, or to be gone, on a busy machine. */
const MADE = { timeout: 40_000 };

test("a cluster with nodes from the lab becomes ready live, loses a node, and goes with its plan", async ({
  app,
  lab,
  expected,
}) => {
  const { page } = app;
  const main = page.getByRole("main");
  const hosts = () => lab.status("harbour").hosts.map(({ name }) => name);
  await app.logIn();
  await app.open("Clusters");
  await page.getByRole("button", { name: "Create cluster" }).first().click();
  await expect(app.heading("Create cluster")).toBeVisible();
  await main.getByLabel("Name", { exact: true }).fill("harbour");
  await main.getByRole("radio", { name: /^Lab/ }).check();
  await expect(main.getByLabel("How many nodes")).toHaveValue("3");
  await expect(page.getByTestId("preview")).toContainText("3 from the lab");
  await app.inspect("create-cluster-lab");
  await page.getByRole("button", { name: "Create cluster" }).click();
  await expect(app.heading("harbour")).toBeVisible();
  // Lost when the page is loaded anew.
  await page.evaluate(() => Object.assign(window, { untouched: true }));
  await expect(main).toContainText("3 ready of 3", MADE);
  expect(await page.evaluate(() => "untouched" in window)).toBe(true);
  await app.inspect("cluster-lab-ready");
  expect(hosts().toSorted()).toEqual(["node-1", "node-2", "node-3"]);

  // Its nodes are hosts that run pods.
  const made = lab.addPod("node-2", "crane-1", "harbour").pods.find(({ name }) => name === "crane-1")!;
  await app.openNetwork("harbour");
  await app.openSubnetOf(made.address);
  await app.openTab("Ports");
  await app.unfold();
  await expect(app.status(app.portAt(made.address))).toHaveText("Active", MADE);

  // A node that is removed takes its host and its pods along, and no other comes for it.
  await app.open("Clusters");
  await app.table("Clusters").getByRole("link", { name: "harbour" }).first().click();
  await app.openTab("Nodes");
  const node = app.rows("node").filter({ hasText: "node-2" });
  await node.getByRole("link", { name: "Remove" }).click();
  const removing = app.panel("Remove node-2?");
  await expect(removing).toContainText("1 pod");
  await removing.getByRole("button", { name: "Remove node" }).click();
  await expect(removing).toBeHidden();
  await expect.poll(() => hosts().toSorted(), MADE).toEqual(["node-1", "node-3"]);
  expect(lab.status("harbour").pods).toEqual([]);
  await app.openTab("Overview");
  await expect(main).toContainText("2 ready of 2", MADE);

  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = app.panel("Delete harbour?");
  await expect(dialog).toContainText("1 network");
  await expect(dialog).toContainText("2 nodes");
  await dialog.getByLabel("Type harbour to confirm").fill("harbour");
  expected.push(/404 .*\/clusters\//);
  await dialog.getByRole("button", { name: "Delete cluster" }).click();
  await expect(app.heading("Clusters")).toBeVisible();
  await expect(app.rows("cluster").filter({ hasText: "harbour" })).toHaveCount(0);
  await app.open("Networks");
  await expect(app.rows("network").first()).toBeVisible();
  await expect(app.rows("network").filter({ hasText: "harbour" })).toHaveCount(0);
  await expect.poll(hosts, MADE).toEqual([]);
});
