/** From a click to a packet: what a person sees is what the kernel does, and the other way round. */
import { nth } from "../addresses";
import { expect, test } from "../fixtures";

/** How long a change in the lab may take until it is on the screen. */
const SHOWN = { timeout: 40_000 };
/** How long a silent node may take until it is called so, or a new agent until all is well again. */
const NOTICED = { timeout: 40_000 };

test("the cluster's nodes and pods are on the Ports tab, active, with their addresses", async ({ app, lab }) => {
  const { hosts, pods } = lab.status();
  expect([hosts.length, pods.length]).toEqual([3, 6]);
  await app.logIn();

  await app.openNetwork(/shop/);
  await app.openSubnetOf(hosts[0].address);
  await app.openTab("Ports");
  for (const host of hosts) {
    const row = app.portAt(host.address);
    await expect(app.status(row)).toHaveText("Active", SHOWN);
    await expect(row).toContainText(host.name);
  }

  await app.openNetwork(/shop/);
  await app.openSubnetOf(pods[0].address);
  await app.openTab("Ports");
  await app.unfold();
  for (const pod of pods) {
    const row = app.portAt(pod.address);
    await expect(app.status(row)).toHaveText("Active", SHOWN);
    await expect(row).toContainText(pod.name);
    await expect(row).toContainText(pod.host);
  }
});

test("a pod made by CNI appears without a reload, and goes with its DEL", async ({ app, lab }) => {
  await app.logIn();
  await app.openNetwork(/shop/);
  await app.openSubnetOf(lab.status().pods[0].address);
  await app.openTab("Ports");
  await app.unfold();
  const { cluster, pods } = lab.status();
  const before = pods.filter((pod) => pod.cluster === cluster!.id).length;
  await expect(app.rows("port")).toHaveCount(before);
  // Lost when the page is loaded anew.
  await app.page.evaluate(() => Object.assign(window, { untouched: true }));

  const added = lab.addPod("node-1", "web-7").pods.find((pod) => pod.name === "web-7")!;
  const row = app.portAt(added.address);
  await expect(app.status(row)).toHaveText("Active", SHOWN);
  await expect(row).toContainText("web-7");
  await expect(app.rows("port")).toHaveCount(before + 1);

  lab.deletePod("web-7");
  // A row that goes while one looks at it stays, greyed.
  await expect(row).toHaveClass(/row--gone/, SHOWN);
  await expect(row).toContainText("Deleted");
  expect(await app.page.evaluate(() => "untouched" in window)).toBe(true);

  await app.page.reload();
  await app.unfold();
  await expect(app.rows("port")).toHaveCount(before);
  await expect(row).toHaveCount(0);
});

test("an overlapping subnet is refused while typing, the offered one is taken, and a port gets a fixed IP", async ({
  app,
  lab,
}) => {
  await app.logIn();
  await app.openNetwork(/shop/);
  const nodes = await app.subnetOf(lab.status().hosts[0].address);
  const name = await nodes.row.locator("[data-column=name] a").innerText();

  await app.page.getByRole("button", { name: "Add subnet" }).click();
  const panel = app.panel("Add subnet");
  await panel.getByLabel("Name").fill("office");
  const cidr = panel.getByLabel("CIDR");
  await expect(cidr).not.toHaveValue("");
  await cidr.fill(nodes.cidr);
  await expect(cidr).toHaveAttribute("aria-invalid", "true");
  await expect(panel).toContainText(`overlaps subnet ${name}`);
  await app.inspect("add-subnet-overlap");
  const offer = panel.getByRole("button", { name: /^Use .* instead$/ });
  const offered = (await offer.innerText()).split(" ")[1];
  await offer.click();
  await expect(cidr).toHaveValue(offered);
  await expect(cidr).toHaveAttribute("aria-invalid", "false");
  await panel.getByRole("button", { name: "Create subnet" }).click();
  await expect(panel).toBeHidden();

  const address = nth(offered, 77);
  await app.openSubnetOf(address);
  await app.openTab("Ports");
  await app.page.getByRole("button", { name: "Add port" }).first().click();
  const port = app.panel("Add port");
  await port.getByLabel("Name").fill("printer");
  await port.getByLabel("These addresses").check();
  await port.getByRole("textbox", { name: /IP address/ }).fill(address);
  await expect(port).toContainText("Free.");
  await app.inspect("add-port");
  await port.getByRole("button", { name: "Create port" }).click();
  await expect(port).toBeHidden();
  const row = app.portAt(address);
  await expect(row).toContainText("printer");
  await expect(row).toContainText("Reserved");
});

test("a killed agent is seen with the reason, and all is well again when it is back", async ({ app, lab }) => {
  const { hosts } = lab.status();
  const [lost, ...others] = hosts.toReversed();
  await app.logIn();
  await app.openNetwork(/shop/);
  await app.openSubnetOf(lost.address);
  await app.openTab("Ports");
  await expect(app.status(app.portAt(lost.address))).toHaveText("Active", SHOWN);

  lab.killAgent(lost.name);
  try {
    const status = app.status(app.portAt(lost.address));
    await expect(status).toContainText("Down", NOTICED);
    await expect(status).toContainText(`${lost.name} has not reported since`);
    await expect(status.locator("[data-code='port.node_silent']")).toBeVisible();
    for (const other of others) await expect(app.status(app.portAt(other.address))).toHaveText("Active");
    await app.inspect("ports-node-silent");
  } finally {
    lab.startAgent(lost.name);
  }
  await expect(app.status(app.portAt(lost.address))).toHaveText("Active", NOTICED);
});
