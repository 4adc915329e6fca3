/** Every screen, once, in both themes: a picture to look at, and an accessibility audit. */
import type { Locator, Page } from "@playwright/test";
import { expect, test } from "../fixtures";
import { People } from "../people";

/** How long the console shows a message (milliseconds). */
const STAYS = 6_000;

/** Messages stay until they are closed: how they lie on the screen is looked at without haste. */
async function keepMessages(page: Page): Promise<void> {
  await page.addInitScript((stays) => {
    const later = window.setTimeout.bind(window);
    const timeout = (work: TimerHandler, millis?: number) => (millis === stays ? 0 : later(work, millis));
    window.setTimeout = timeout as typeof window.setTimeout;
  }, STAYS);
}

/** Every one of these is on the screen, whole, and no message lies over it. */
async function uncovered(page: Page, what: Locator, when: string): Promise<void> {
  const window = page.viewportSize()!;
  const messages = await page.locator(".toast").all();
  expect(messages.length, when).toBeGreaterThan(0);
  const overs = await Promise.all(messages.map(async (message) => (await message.boundingBox())!));
  const all = await what.all();
  expect(all.length, when).toBeGreaterThan(0);
  for (const one of all) {
    const box = (await one.boundingBox())!;
    const name = `${when}: ${(await one.getAttribute("aria-label")) ?? (await one.getAttribute("name")) ?? (await one.innerText())}`;
    expect(box.y, name).toBeGreaterThanOrEqual(0);
    expect(box.y + box.height, name).toBeLessThanOrEqual(window.height + 1);
    for (const over of overs) {
      const beside = box.x + box.width <= over.x || over.x + over.width <= box.x;
      const apart = box.y + box.height <= over.y || over.y + over.height <= box.y;
      expect(beside || apart, `${name} at ${JSON.stringify(box)} under ${JSON.stringify(over)}`).toBe(true);
    }
  }
}

/** Goes through everything that takes the focus inside of a place, once around. */
async function walkFocus(page: Page, place: Locator, when: string): Promise<void> {
  const stops = await place.locator("a[href], button, input, textarea, select, summary").count();
  const focused = page.locator(":focus:not(.toast *)");
  for (let stop = 0; stop < stops + 2; stop += 1) {
    await page.keyboard.press("Tab");
    if (await focused.count()) await uncovered(page, focused, `${when}, stop ${stop}`);
  }
}

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

for (const [width, height] of [
  [320, 640],
  [700, 500],
  [930, 640],
  [1360, 860],
]) {
  test(`a message hides neither a panel's title nor its buttons nor what has the focus, at ${width} px`, async ({
    app,
    page,
    request,
    expected,
  }, info) => {
    const people = await People.make(request);
    const mark = `msg${info.workerIndex}${Date.now().toString(36)}`;
    const project = await people.project(`${mark}-quay`);
    const { name, password } = await people.person(`${mark}-otto`, "member", project);
    await keepMessages(page);
    await page.setViewportSize({ width, height });
    // The widths between show nothing that these two do not.
    const seen = width === 320 || width === 1360;
    await app.logIn(name, password);
    const network = await app.make(project.id, "network", { name: "quay" });
    const inside = { network_id: network, name: "inside", cidr: "10.79.0.0/24", ip_version: 4 };
    const subnet = await app.make(project.id, "subnet", inside);

    // A message that comes while the panel is open.
    await page.goto(`/p/${project.id}/subnets/${subnet}/ports?panel=new`);
    const panel = app.panel("Add port to inside");
    await panel.getByLabel("Create another").check();
    await panel.getByLabel("Description").fill("What has the focus while the message comes.");
    await page.keyboard.press("Enter");
    await expect(page.locator(".toast")).toHaveCount(1);
    const kept = panel.locator(".panel__head h2, .panel__head button, .panel__foot button, .panel__foot input");
    await uncovered(page, kept, "the panel");
    await uncovered(page, page.locator(":focus"), "the focus");
    if (seen) await app.inspect(`message-panel-${width}`);
    await walkFocus(page, panel, "in the panel");
    await panel.getByLabel("Description").focus();
    await page.keyboard.press("Enter");
    await expect(page.locator(".toast")).toHaveCount(2);
    await uncovered(page, kept, "the panel, two messages");
    await panel.getByRole("button", { name: "Cancel" }).click();
    const discard = panel.getByRole("button", { name: "Discard" });
    if (await discard.isVisible()) await discard.click();
    await expect(panel).toBeHidden();

    // One that is there when a panel opens.
    await page.getByRole("button", { name: "Add port" }).first().click();
    await expect(panel).toBeVisible();
    await expect(page.locator(".toast")).toHaveCount(2);
    await uncovered(page, kept, "a panel under messages");
    await page.keyboard.press("Escape");
    await expect(panel).toBeHidden();

    // On a page without one.
    const spare = await app.make(project.id, "network", { name: "spare" });
    await page.goto(`/p/${project.id}/networks/${spare}?panel=delete`);
    const sure = app.panel("Delete spare?");
    await expect(sure.locator(".plan").first()).toBeVisible();
    expected.push(/404/);
    await sure.getByRole("button", { name: "Delete network" }).click();
    await expect(app.heading("Networks")).toBeVisible();
    await expect(page.locator(".toast")).toHaveCount(1);
    await page.getByRole("button", { name: "Create network" }).first().click();
    const form = page.getByRole("main");
    await expect(form.getByLabel("Name", { exact: true })).not.toHaveValue("");
    if (seen) await app.inspect(`message-page-${width}`);
    await walkFocus(page, form, "on the page");
    await uncovered(page, page.locator(":focus"), "the last of the page");
  });
}
