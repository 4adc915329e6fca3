/** What the first download leaves out: it comes when it is wanted, and says so when it cannot. */
import { expect, test } from "../fixtures";
import { People } from "../people";

const PARTS = "**/assets/part-*";

test("the first pages load no part; a page that needs one brings it once, back and forth as well", async ({ app, page }) => {
  const brought: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/assets/part-")) brought.push(request.url());
  });
  await app.logIn();
  expect(brought).toEqual([]);
  await app.open("Clusters");
  const once = [...brought];
  expect(once.length).toBeGreaterThan(0);
  await page.goBack();
  await expect(app.heading("Networks")).toBeVisible();
  await page.goForward();
  await expect(app.heading("Clusters")).toBeVisible();
  expect(brought).toEqual(once);
  await page.reload();
  await expect(app.heading("Clusters")).toBeVisible();
});

test.describe("a part that cannot be had", () => {
  test.use({ expected: [[/ERR_FAILED/, /TypeError: Failed to fetch/], {}] });

  test("says so and is tried again", async ({ app, page }) => {
    await app.logIn();
    await page.route(PARTS, (route) => route.abort());
    await page.getByRole("navigation", { name: "Main navigation" }).getByRole("link", { name: "Clusters" }).click();
    const said = page.getByRole("alert").filter({ hasText: "could not be loaded" });
    await expect(said).toBeVisible();
    await said.getByRole("button", { name: "Try again" }).click();
    await expect(said).toBeVisible();
    await page.unroute(PARTS);
    await said.getByRole("button", { name: "Try again" }).click();
    await expect(app.heading("Clusters")).toBeVisible();
  });

  test("says so in its panel's place, where it is tried again or closed", async ({ app, page, request }, info) => {
    const people = await People.make(request);
    const mark = `part${info.workerIndex}${Date.now().toString(36)}`;
    const project = await people.project(`${mark}-dock`);
    const { name, password } = await people.person(`${mark}-paul`, "member", project);
    await app.logIn(name, password);
    const network = await app.make(project.id, "network", { name: "dock" });
    await page.goto(`/p/${project.id}/networks/${network}`);
    await expect(app.heading("dock")).toBeVisible();
    await page.route(PARTS, (route) => route.abort());

    for (const [button, title] of [
      ["Delete", "Delete dock?"],
      ["Add subnet", "Add subnet"],
    ]) {
      const opener = page.getByRole("button", { name: button, exact: true }).first();
      await opener.click();
      const panel = app.panel(title);
      const said = panel.getByRole("alert").filter({ hasText: "could not be loaded" });
      await expect(said).toBeVisible();
      await expect(page.getByRole("alert")).toHaveCount(1);
      await expect(panel.getByRole("button", { name: "Close" }).last()).toBeVisible();
      if (title === "Add subnet") break;
      await app.inspect("part-lost");
      await page.keyboard.press("Escape");
      await expect(panel).toBeHidden();
      await expect(opener).toBeFocused();
    }

    const panel = app.panel("Add subnet");
    await panel.getByRole("button", { name: "Try again" }).click();
    await expect(panel.getByRole("alert")).toBeVisible();
    await page.unroute(PARTS);
    await panel.getByRole("button", { name: "Try again" }).click();
    await expect(panel.getByLabel("Name", { exact: true })).toBeFocused();
    await expect(panel.getByRole("alert")).toHaveCount(0);
    // Whoever opened it gets the focus back, though another panel stood there in between.
    await page.keyboard.press("Escape");
    await expect(panel).toBeHidden();
    await expect(page.getByRole("button", { name: "Add subnet" }).first()).toBeFocused();
  });
});
