/** Clusters by choice: in a network of the project's or with a private one, made, joined, and taken away with a plan. */
import { expect } from "../fixtures";
import { test } from "../maker";
import { wordsFor } from "../shell";
import { englishOn } from "../texts";

test("a network is made on a page of its own, which says the same as code", async ({ maker }) => {
  const { app } = maker;
  const { page } = app;
  await page.getByRole("button", { name: "Create network" }).first().click();
  await expect(app.heading("Create network")).toBeVisible();
  await expect(maker.field("Name")).toHaveValue("network-1");
  await expect(page.getByTestId("quotas")).toContainText(/0 of \d+ networks, \d+ left after this/);
  await expect(page.getByLabel("Access to provider services")).toHaveCount(0);

  const name = `it's $(id) "тихая\\гавань"`;
  await maker.field("Name").fill(name);
  const internet = page.getByLabel("Internet access");
  await expect(internet).toBeChecked();
  await internet.uncheck();
  expect(await maker.code("Terraform")).toContain('internet_access = "false"');
  const words = wordsFor("openstack", await maker.code("openstack"));
  expect(words.slice(0, 2)).toEqual(["network", "create"]);
  expect(words.at(-1)).toBe(name);
  const command = await maker.code("curl");
  await app.inspect("create-network-page");
  const { network } = await maker.run(command);
  expect([network.name, network.internet_access]).toEqual([name, false]);

  // Live: the name is taken now, which is no error.
  await expect(page.getByText("already. You can still use the name")).toBeVisible();
  await maker.field("Name").fill("quay");
  await internet.check();
  await page.getByRole("button", { name: "Create network" }).click();
  await expect(app.heading("quay")).toBeVisible();
  await app.open("Networks");
  const row = app.rows("network").filter({ hasText: "quay" });
  await expect(row.locator("[data-column=internet]")).toHaveText("Yes");
});

test("a cluster in a network of the project's: an overlap is named, the offer taken, the plan says what goes", async ({
  maker,
  expected,
}) => {
  test.slow();
  const { app } = maker;
  const { page } = app;
  await maker.network("harbour", true, "10.20.0.0/24");
  await maker.start("crane");
  await maker.field("Network").selectOption({ label: "harbour" });
  await expect(maker.field("Node subnet")).toContainText("harbour-a 10.20.0.0/24: 253 free");
  await expect(maker.field("Node subnet")).not.toHaveValue("");

  const pods = maker.field("Pod addresses");
  const free = await pods.inputValue();
  await pods.fill("10.20.0.0/16");
  await expect(pods).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByText("10.20.0.0/16 overlaps subnet harbour-a (10.20.0.0/24) in network harbour")).toBeVisible();
  await app.inspect("create-cluster-overlap");
  await page.getByRole("button", { name: /^Use .* instead$/ }).click();
  await expect(pods).toHaveValue(free);
  await expect(pods).toHaveAttribute("aria-invalid", "false");
  await expect(pods).toBeFocused();
  await expect(maker.preview()).toContainText("harbour");
  await expect(maker.preview()).toContainText("1,024 blocks of 64 addresses");

  await maker.create("crane");
  await expect(page.getByRole("list", { name: "Creation" })).toContainText("Network and subnets");
  await expect(page.getByText("Not carried: there is no gateway yet").first()).toBeVisible();
  await app.inspect("cluster-new");

  // The network it lives in says what stops its delete.
  await app.openNetwork("harbour");
  const stopped = await maker.doom("harbour");
  await expect(stopped).toContainText("What stops it");
  await expect(stopped).toContainText("crane");
  await expect(stopped.getByRole("link", { name: "cluster crane" })).toHaveAttribute("href", /\/clusters\/[0-9a-f-]{36}$/);
  await expect(stopped.getByRole("button", { name: /^Delete network/ })).toHaveAttribute("aria-disabled", "true");
  await app.inspect("delete-network-stopped");
  await page.keyboard.press("Escape");
  await expect(stopped).toBeHidden();

  await app.open("Clusters");
  await app.table("Clusters").getByRole("link", { name: "crane" }).first().click();
  const dialog = await maker.doom("crane");
  await expect(dialog).toContainText("What goes with it");
  await expect(dialog).toContainText("What stays");
  await expect(dialog).toContainText("harbour");
  const button = dialog.getByRole("button", { name: "Delete cluster" });
  await expect(button).toHaveAttribute("aria-disabled", "true");
  await app.inspect("delete-cluster");
  await dialog.getByLabel("Type crane to confirm").fill("crane");
  expected.push(/404 .*\/clusters\//);
  await button.click();
  await expect(app.heading("Clusters")).toBeVisible();
  await expect(app.rows("cluster").filter({ hasText: "crane" })).toHaveCount(0);
  await app.open("Networks");
  await expect(app.rows("network").filter({ hasText: "harbour" })).toBeVisible();
});

test("a cluster with a private network, by the request that is shown; a node joins and is removed", async ({
  maker,
  expected,
}) => {
  const { app } = maker;
  const { page } = app;
  await maker.start("buoy");
  await expect(page.getByTestId("quotas")).toContainText(/0 of \d+ clusters, \d+ left after this/);
  const without = page.getByLabel("Without an external IP");
  await expect(without).toHaveAttribute("aria-disabled", "true");
  await without.click({ force: true });
  await expect(page.getByLabel("With an external IP")).toBeChecked();
  await expect(page.getByText("Needs shadowport for this project.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Request it" })).toHaveAttribute("href", /\/shadowport\/new$/);
  await maker.field("Nodes expected").fill("5001");
  await expect(maker.field("Nodes expected")).toHaveAttribute("aria-invalid", "true");
  await maker.field("Nodes expected").fill("1");
  const { item } = await maker.run(await maker.code("curl"));
  expect([item.name, item.private_network, item.nodes_wanted]).toEqual(["buoy", true, 1]);
  // Live: the name is taken now.
  await expect(maker.field("Name")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByText("There is a cluster buoy in this project already.")).toBeVisible();

  await app.open("Clusters");
  await app.table("Clusters").getByRole("link", { name: "buoy" }).first().click();
  await app.openTab("Nodes");
  await page.getByRole("button", { name: "Add node" }).first().click();
  const panel = app.panel(/^(Add node|Join command)$/);
  await expect(panel.getByLabel("Name")).toBeFocused();
  await panel.getByLabel("Name").fill("skiff");
  await panel.getByRole("button", { name: "Make join command" }).click();
  const command = (await page.getByTestId("join").textContent())!;
  const token = /PORTOLAN_JOIN_TOKEN=(\S+)/.exec(command)![1];
  expect(wordsFor("portolan-agent", command).slice(0, 3)).toEqual(["run", "--name", "skiff"]);
  await app.inspect("join-command");
  await panel.getByRole("button", { name: "Close" }).last().click();
  await expect(panel).toBeHidden();
  expect(await page.content(), "the token is shown once").not.toContain(token);
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain(token);

  const node = app.rows("node").filter({ hasText: "skiff" });
  await expect(node).toBeVisible();
  await node.getByRole("link", { name: "Remove" }).click();
  const removing = app.panel("Remove skiff?");
  await expect(removing).toContainText("What goes with it");
  await removing.getByRole("button", { name: "Remove node" }).click();
  await expect(removing).toBeHidden();
  await expect(node).toHaveCount(0);

  const dialog = await maker.doom("buoy");
  await expect(dialog).toContainText("1 network");
  await expect(dialog).not.toContainText("What stays");
  await dialog.getByLabel("Type buoy to confirm").fill("buoy");
  expected.push(/404 .*\/clusters\//);
  await dialog.getByRole("button", { name: "Delete cluster" }).click();
  await expect(app.heading("Clusters")).toBeVisible();
  await app.open("Networks");
  await app.unfold();
  await expect(app.rows("network").filter({ hasText: "internet" })).toBeVisible();
  await expect(app.rows("network").filter({ hasText: "buoy" })).toHaveCount(0);
});

test("subnets and ports say the same as code, and a port goes with its plan", async ({ maker, expected }) => {
  const { app } = maker;
  const { page } = app;
  await maker.network("basin", true);
  await app.openNetwork("basin");
  await page.getByRole("button", { name: "Add subnet" }).first().click();
  const adding = app.panel("Add subnet");
  await expect(adding.getByLabel("CIDR")).not.toHaveValue("");
  await adding.getByLabel("Description").fill("$(id) 'x'");
  expect(wordsFor("openstack", await maker.code("openstack"))).toContain("$(id) 'x'");
  const { subnet } = await maker.run(await maker.code("curl"));
  await app.inspect("add-subnet-code");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Discard" }).click();

  await app.rows("subnet").getByRole("link", { name: subnet.name }).click();
  await app.openTab("Ports");
  await page.getByRole("button", { name: "Add port" }).first().click();
  await app.panel("Add port").getByLabel("Name").fill("bollard");
  const { port } = await maker.run(await maker.code("curl"));
  expect(port.name).toBe("bollard");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Discard" }).click();

  const row = app.portAt(port.fixed_ips[0].ip_address);
  await row.getByRole("link", { name: "bollard" }).click();
  await app.panel("Port bollard").getByRole("button", { name: "Delete" }).click();
  const dialog = app.panel("Delete bollard?");
  await expect(dialog).toContainText("Nothing else.");
  await app.inspect("delete-port");
  expected.push(/404 .*\/ports\//);
  await dialog.getByRole("button", { name: "Delete port" }).click();
  await expect(dialog).toBeHidden();
  await expect(row).toHaveCount(0);
});

test("the forms follow the project's request for shadowport without a reload", async ({ maker }) => {
  const { app } = maker;
  const { page } = app;
  await maker.start("dinghy");
  const without = page.getByLabel("Without an external IP");
  await expect(page.getByText("Needs shadowport for this project.")).toBeVisible();
  const id = await maker.askShadowport();
  await expect(page.getByText(/^Requested .*, being looked at\./)).toBeVisible();
  await app.inspect("create-cluster-requested");
  await maker.grantShadowport(id);
  await expect(without).not.toHaveAttribute("aria-disabled", "true");
  await without.check();
  await expect(maker.preview()).toContainText("private, with access to provider services");
  await maker.create("dinghy");
  await expect(page.getByRole("list", { name: "Creation" })).toContainText("Access to provider services");
  await app.inspect("cluster-services");

  await app.open("Networks");
  const row = app.rows("network").filter({ hasText: "dinghy" }).first();
  await expect(row.locator("[data-column=internet]")).toHaveText("Services only");
  await page.getByRole("button", { name: "Create network" }).first().click();
  const services = page.getByLabel("Access to provider services");
  await expect(services).toHaveAttribute("aria-disabled", "true");
  await expect(page.getByText("Needs internet access off.")).toBeVisible();
  await page.getByLabel("Internet access").uncheck();
  await services.check();
  await expect(page.getByText("Cannot be switched off later on this network.")).toBeVisible();
  expect(await maker.code("openstack")).toContain("name=enable_shadow_port,value=true");
  await app.inspect("create-network-services");
});

test("the same dialogs in Russian", async ({ maker }) => {
  const { app } = maker;
  const { page } = app;
  await maker.start("buoy");
  await maker.create("buoy");
  await page.getByRole("button", { name: "Русский" }).click();
  await expect(page.getByRole("list", { name: "Создание" })).toBeVisible();
  // What was said before stays in the language it was said in, for a moment.
  await expect(page.locator(".toast")).toHaveCount(0);
  expect(await englishOn(page)).toEqual([]);
  await app.inspect("ru-cluster-new");
  await page.getByRole("button", { name: "Удалить" }).click();
  const dialog = app.panel("Удалить buoy?");
  await expect(dialog.getByText("Что будет удалено")).toBeVisible();
  await expect(dialog.getByText("1 сеть")).toBeVisible();
  expect(await englishOn(page)).toEqual([]);
  await app.inspect("ru-delete-cluster");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Добавить узел" }).first().click();
  await page.getByRole("button", { name: "Получить команду" }).click();
  await expect(page.getByTestId("join")).toBeVisible();
  expect(await englishOn(page)).toEqual([]);
  await app.inspect("ru-join-command");
});

test("a network that leads nowhere is said before anything is sent", async ({ maker }) => {
  const { app } = maker;
  await maker.network("lagoon", false, "10.30.0.0/24");
  await maker.start("raft");
  await maker.field("Network").selectOption({ label: "lagoon" });
  await expect(maker.field("Network")).toHaveAttribute("aria-invalid", "true");
  await expect(app.page.getByText("Network lagoon has neither internet access nor access to provider services")).toBeVisible();
  await app.page.getByRole("button", { name: "Create cluster" }).click();
  await expect(maker.field("Network")).toBeFocused();
  await expect(app.heading("Create cluster")).toBeVisible();
});
