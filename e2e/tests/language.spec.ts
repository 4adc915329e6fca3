/** Russian beside English: every screen, the choice and who keeps it, numbers and times. */
import type { Page } from "@playwright/test";
import { type Console, expect, test } from "../fixtures";
import { englishOn } from "../texts";

/** The account of these tests chooses nothing, before and after. */
async function forget(page: Page): Promise<void> {
  const session = await page.request.get("/portolan/v1/session");
  if (!session.ok()) return;
  const { csrf } = await session.json();
  const answer = await page.request.put("/portolan/v1/session", {
    headers: { "X-CSRF-Token": csrf },
    data: { language: null },
  });
  expect(answer.ok()).toBe(true);
}

/** Logs in where the page already speaks Russian. */
async function logInRussian(page: Page, user = "demo"): Promise<void> {
  await page.getByLabel("Пользователь").fill(user);
  await page.getByLabel("Пароль").fill(`${user}-portolan`);
  await page.getByRole("button", { name: "Войти" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Сети" })).toBeVisible();
  await expect(page.getByTestId("live-mark")).toHaveText(/Обновляется/);
}

/** The page is in Russian, whole, and fits. */
async function russian(app: Console, name: string): Promise<void> {
  const { page } = app;
  await expect(page.locator("html")).toHaveAttribute("lang", "ru");
  await expect(page.locator(".skeleton")).toHaveCount(0);
  expect.soft(await englishOn(page), name).toEqual([]);
  // What a telephone shows is looked at together with the wide page; who comes with one only walks through.
  if (page.viewportSize()!.width > 320) await app.inspect(`ru-${name}`);
  else await app.fits(name);
}

/** Opens a section by the menu, which a narrow window hides behind a button. */
async function open(page: Page, section: string): Promise<void> {
  const menu = page.locator(".topbar__menu");
  if (await menu.isVisible()) await menu.click();
  await page.getByRole("navigation", { name: "Главное меню" }).getByRole("link", { name: section }).click();
  await expect(page.getByRole("heading", { level: 1, name: section })).toBeVisible();
}

/** Every screen there is, one after the other. */
async function walk(app: Console, cluster: string, prefix: string): Promise<void> {
  const { page } = app;
  await expect(app.rows("network").first()).toBeVisible();
  await russian(app, `${prefix}networks`);
  await page.getByRole("table", { name: "Сети" }).getByRole("link", { name: cluster }).first().click();
  await expect(app.rows("subnet").first()).toBeVisible();
  await russian(app, `${prefix}network`);
  await app.openTab("Информация");
  await russian(app, `${prefix}network-information`);
  await app.openTab("Подсети");
  await page.getByRole("button", { name: "Добавить подсеть" }).click();
  const subnet = app.panel("Добавить подсеть");
  await expect(subnet.getByLabel("Адрес подсети")).not.toHaveValue("");
  await russian(app, `${prefix}add-subnet`);
  await subnet.getByLabel("Адрес подсети").fill("10.0.0.0/15");
  await expect(subnet.getByText("пересекается")).toBeVisible();
  await russian(app, `${prefix}add-subnet-overlap`);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Отбросить" }).click();

  await app.rows("subnet").filter({ hasText: "Узлы кластера" }).getByRole("link").first().click();
  await expect(app.tab("Информация")).toBeVisible();
  await russian(app, `${prefix}subnet`);
  await app.openTab("Порты");
  await expect(app.rows("port").first()).toBeVisible();
  await russian(app, `${prefix}ports`);
  await app.rows("port").first().getByRole("link").first().click();
  await expect(page.getByText("Ядро их приняло")).toBeVisible();
  await russian(app, `${prefix}port`);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Добавить порт" }).click();
  await app.panel(/^Добавить порт/).getByLabel("Эти адреса").check();
  await russian(app, `${prefix}add-port`);
  await page.keyboard.press("Escape");
  const discard = page.getByRole("button", { name: "Отбросить" });
  if (await discard.isVisible()) await discard.click();

  await open(page, "Кластеры");
  await russian(app, `${prefix}clusters`);
  await app.rows("cluster").filter({ hasText: cluster }).getByRole("link").first().click();
  await expect(page.getByText("3 узла").first()).toBeVisible();
  await russian(app, `${prefix}cluster`);
  await app.openTab("Узлы");
  await expect(app.rows("node")).toHaveCount(3);
  await russian(app, `${prefix}nodes`);
}

/** Pages by their address. */
async function visit(app: Console, pages: Record<string, string>): Promise<void> {
  const { page } = app;
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByTestId("live-mark")).toHaveText(/Обновляется/);
    await russian(app, name);
  }
}

test.afterEach(async ({ page }) => forget(page));

test.describe("a browser that prefers Russian", () => {
  test.use({ locale: "ru-RU" });

  test("shows the log-in page in Russian, and refuses in Russian", async ({ app }) => {
    const { page } = app;
    await page.goto("/");
    await expect(page.getByRole("button", { name: "Войти" })).toBeVisible();
    await expect(page).toHaveTitle("Войти · Portolan");
    await russian(app, "login");
    await page.getByLabel("Пользователь").fill("demo");
    await page.getByLabel("Пароль").fill("не тот пароль");
    await page.getByRole("button", { name: "Войти" }).click();
    await expect(page.getByRole("alert")).toContainText("Неверное имя пользователя или пароль.");
    await russian(app, "login-refused");
  });

  test("shows every screen in Russian", async ({ app, lab }) => {
    test.slow();
    await app.page.goto("/");
    await logInRussian(app.page);
    await walk(app, lab.status().cluster!.name, "");
  });

  test("is gone through on a telephone", async ({ app, lab }) => {
    test.slow();
    await app.page.setViewportSize({ width: 320, height: 640 });
    await app.page.goto("/");
    await russian(app, "phone-login");
    await logInRussian(app.page);
    await walk(app, lab.status().cluster!.name, "phone-");
  });

  test("shows the pages where things are made, asked for and looked up in Russian", async ({ app, lab }) => {
    test.slow();
    const { page } = app;
    await page.goto("/");
    await logInRussian(page);
    const project = new URL(page.url()).pathname.split("/")[2];
    await page.getByRole("table", { name: "Сети" }).getByRole("link", { name: lab.status().cluster!.name }).first().click();
    await expect(app.rows("subnet").first()).toBeVisible();
    const network = new URL(page.url()).pathname;
    await visit(app, {
      "address-scopes": `/p/${project}/address-scopes`,
      "create-network": `/p/${project}/networks/new`,
      "network-history": `${network}/audit`,
      "create-cluster": `/p/${project}/clusters/new`,
      shadowport: `/p/${project}/shadowport`,
      "shadowport-new": `/p/${project}/shadowport/new`,
      audit: `/p/${project}/audit`,
    });
  });

  test("shows support's pages in Russian", async ({ app }) => {
    test.slow();
    const { page } = app;
    await page.goto("/");
    await logInRussian(page, "admin");
    await visit(app, {
      "support-queue": "/support/queue?state=all",
      "support-find": "/support/find?q=demo",
      "support-audit": "/support/audit",
    });
  });

  test("shows English where Russian cannot be had, and says so", async ({ app, expected }) => {
    const { page } = app;
    expected.push(/ERR_FAILED/);
    await page.route("**/assets/texts-ru-*", (route) => route.abort());
    await page.goto("/");
    await expect(page.getByText("The language “Русский” could not be loaded.")).toBeVisible();
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
    await expect(page.locator("html")).toHaveAttribute("lang", "en");
    await page.unroute("**/assets/texts-ru-*");
    await page.getByRole("button", { name: "Русский" }).click();
    await expect(page.getByRole("button", { name: "Войти" })).toBeVisible();
  });

  test("counts, dates and says what is not there as Russians do", async ({ app, lab, expected }) => {
    const { page } = app;
    await page.goto("/");
    await logInRussian(page);
    await page.goto("/");
    await expect(app.rows("network").first()).toBeVisible();
    const times = page.locator("time");
    await open(page, "Кластеры");
    await app.rows("cluster").filter({ hasText: lab.status().cluster!.name }).getByRole("link").first().click();
    await expect(page.getByText("6 подов").first()).toBeVisible();
    await expect(times.first()).toHaveAttribute(
      "title",
      /^\d{1,2} (янв\.|февр\.|марта|апр\.|мая|июня|июля|авг\.|сент\.|окт\.|нояб\.|дек\.) \d{4}, \d\d:\d\d:\d\d UTC$/,
    );
    await expect(times.first()).toHaveText(/^(только что|\d+\u{a0}(с|мин|ч) назад)$/u);
    expected.push(/404/);
    const project = new URL(page.url()).pathname.split("/")[2];
    await page.goto(`/p/${project}/networks/00000000-0000-7000-8000-000000000000`);
    await expect(page.getByText("В этом проекте нет сети с таким ID")).toBeVisible();
    await russian(app, "network-not-found");
  });
});

test("another language keeps the page, and the account keeps the language", async ({ app, browser, baseURL }) => {
  const { page } = app;
  await app.logIn();
  await app.openNetwork(/./);
  await app.openTab("Information");
  const address = page.url();
  const name = await page.getByRole("heading", { level: 1 }).innerText();
  const group = page.getByRole("group", { name: "Language: English" });
  const switchTo = (other: string) => page.getByRole("button", { name: other });
  await expect(group.getByRole("button")).toHaveCount(1);
  await expect(switchTo("Русский")).toHaveAttribute("lang", "ru");

  // By keyboard.
  await switchTo("Русский").focus();
  await page.keyboard.press("Enter");
  await expect(app.tab("Информация")).toHaveAttribute("aria-selected", "true");
  expect(page.url()).toBe(address);
  await expect(page.locator("html")).toHaveAttribute("lang", "ru");
  await expect(page).toHaveTitle(`${name} · Portolan`);
  await expect(page.getByRole("group", { name: "Язык: Русский" })).toBeVisible();
  await expect(page.getByTestId("live-mark")).toHaveText(/Обновляется/);
  expect(await englishOn(page)).toEqual([]);

  await switchTo("English").click();
  await expect(app.tab("Information")).toHaveAttribute("aria-selected", "true");
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  await switchTo("Русский").click();
  await expect(app.tab("Информация")).toBeVisible();
  expect(page.url()).toBe(address);

  // Going back and forth in the history still works, once per press.
  await app.openTab("Подсети");
  await page.goBack();
  expect(page.url()).toBe(address);
  await expect(app.tab("Информация")).toHaveAttribute("aria-selected", "true");

  // Loaded anew, and in another browser that prefers English: the account's.
  await page.reload();
  await expect(app.tab("Информация")).toBeVisible();
  const elsewhere = await browser.newContext({ locale: "en-GB", baseURL });
  const other = await elsewhere.newPage();
  await other.goto("/");
  await other.getByLabel("User").fill("demo");
  await other.getByLabel("Password").fill("demo-portolan");
  await other.getByRole("button", { name: "Log in" }).click();
  await expect(other.getByRole("heading", { level: 1, name: "Сети" })).toBeVisible();
  await elsewhere.close();

  // After logging out the browser remembers.
  await page.getByRole("button", { name: "Выйти" }).click();
  await expect(page.getByRole("button", { name: "Войти" })).toBeVisible();
  await page.goto("/");
  await logInRussian(page);
});

test("what is chosen on the log-in page holds after it", async ({ app }) => {
  const { page } = app;
  await page.goto("/");
  await page.getByRole("button", { name: "Русский" }).click();
  await logInRussian(page);
  await expect
    .poll(async () => (await (await page.request.get("/portolan/v1/session")).json()).language)
    .toBe("ru");
});

test("a language that cannot be had is said, and had when asked for again", async ({ app, expected }) => {
  const { page } = app;
  expected.push(/ERR_FAILED/);
  await app.logIn();
  await page.route("**/assets/texts-ru-*", (route) => route.abort());
  await page.getByRole("button", { name: "Русский" }).click();
  await expect(page.getByText("The language “Русский” could not be loaded.")).toBeVisible();
  await expect(app.heading("Networks")).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  await page.unroute("**/assets/texts-ru-*");
  await page.getByRole("button", { name: "Русский" }).click();
  await expect(app.heading("Сети")).toBeVisible();
});

test("texts of other keys are not read", async ({ app }) => {
  const { page } = app;
  await page.route("**/assets/texts-ru-*", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace(/^portolan-texts \w{16}/, "portolan-texts 0000000000000000");
    await route.fulfill({ response: answer, body });
  });
  await app.logIn();
  await page.getByRole("button", { name: "Русский" }).click();
  await expect(page.getByText("The language “Русский” could not be loaded.")).toBeVisible();
  await expect(app.heading("Networks")).toBeVisible();
});
