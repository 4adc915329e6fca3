/** What the first download leaves out: it comes when it is wanted, and says so when it cannot. */
import { expect, test } from "../fixtures";

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
});
