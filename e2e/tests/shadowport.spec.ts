/** Shadowport from request to grant: both people's way, each in a browser of their own. */
import { type Browser, type Locator, type Route } from "@playwright/test";
import { Console, expect, test as base } from "../fixtures";
import { People, type Person, type Project } from "../people";

/** How long a change of the other side may take until it is on the screen. */
const SHOWN = { timeout: 40_000 };

/** Buttons that change something; a heading sorts, and one of them is "Created". */
const WRITES = /^(Create |Add |Delete|Edit|Enable|Disable|Remove|Request |Withdraw|Send |Make )/;

/** A customer's project and the people of a test. */
interface World {
  project: Project;
  customer: Person;
  reader: Person;
  anna: Person;
  bert: Person;
}

/** A project of its own for every test, with a customer and two of support. */
const test = base.extend<{ world: World; browsers: (person: Person) => Promise<Console> }>({
  world: async ({ request }, use, info) => {
    const people = await People.make(request);
    const mark = `sp${info.workerIndex}${Date.now().toString(36)}`;
    const [project, desk] = [await people.project(`${mark}-bakery`), await people.project(`${mark}-desk`)];
    await use({
      project,
      customer: await people.person(`${mark}-carol`, "member", project),
      reader: await people.person(`${mark}-rita`, "reader", project),
      anna: await people.person(`${mark}-anna`, "support", desk),
      bert: await people.person(`${mark}-bert`, "support", desk),
    });
  },

  browsers: async ({ browser, baseURL }, use) => {
    const open: Awaited<ReturnType<Browser["newContext"]>>[] = [];
    await use(async (person) => {
      const context = await browser.newContext({ baseURL });
      open.push(context);
      const app = new Console(await context.newPage());
      await app.logIn(person.name, person.password);
      return app;
    });
    await Promise.all(open.map((context) => context.close()));
  },
});

// Two or three browsers a test, and every screen looked at wide and narrow in both themes.
test.describe.configure({ timeout: 300_000 });

/** What a customer does. */
class Customer {
  constructor(
    readonly app: Console,
    readonly project: Project,
  ) {}

  /** Opens the section. */
  async section(): Promise<void> {
    await this.app.page.goto(`/p/${this.project.id}/shadowport`);
    await expect(this.app.heading("Shadowport")).toBeVisible();
  }

  /** Files a request and arrives at its page. */
  async file(purpose: string, nodes: number): Promise<string> {
    await this.section();
    await this.app.page.getByRole("button", { name: "Request shadowport" }).click();
    await this.fill(purpose, nodes);
    return this.sent();
  }

  /** Fills in the form. */
  async fill(purpose: string, nodes: number): Promise<void> {
    const { page } = this.app;
    await expect(this.app.heading("Request a cluster without external IP")).toBeVisible();
    await page.getByLabel("What for").fill(purpose);
    await page.getByLabel("Nodes expected").fill(String(nodes));
  }

  /** Sends it; the id of the request. */
  async sent(): Promise<string> {
    await this.app.page.getByRole("button", { name: "Send request" }).click();
    await expect(this.app.heading("Shadowport request")).toBeVisible();
    await this.app.isLive();
    return new URL(this.app.page.url()).pathname.split("/")[4];
  }

  /** Writes into the thread. */
  async write(text: string): Promise<void> {
    await this.app.page.getByLabel("Your message").fill(text);
    await this.app.page.getByRole("button", { name: "Send message" }).click();
    await expect(message(this.app, text)).toBeVisible(SHOWN);
  }
}

/** What somebody of support does. */
class Supporter {
  constructor(readonly app: Console) {}

  /** Opens the queue. */
  async queue(): Promise<void> {
    await this.app.page.getByRole("navigation", { name: "Main navigation" }).getByRole("link", { name: "Queue" }).click();
    await expect(this.app.heading("Queue")).toBeVisible();
    await this.app.isLive();
  }

  /** The row of a project's request. */
  row(project: Project): Locator {
    return this.app.page.locator("[data-testid^=request-row-]").filter({ hasText: project.id });
  }

  /** Opens a request. */
  async open(request: string): Promise<void> {
    await this.app.page.goto(`/support/queue/${request}`);
    await expect(this.app.heading(/^Request of/)).toBeVisible();
    await this.app.isLive();
  }

  /** Keeps a note for support alone. The live page shows it before the answer to its sender is there. */
  async note(text: string): Promise<void> {
    const { page } = this.app;
    const shown = page.getByTestId("note").filter({ hasText: text });
    const late = async (route: Route) => {
      const answer = await route.fetch();
      await shown.waitFor();
      await route.fulfill({ response: answer });
    };
    await page.route("**/messages", late, { times: 1 });
    await page.getByLabel("Internal note", { exact: true }).check();
    await page.getByLabel(/^Internal note: only support/).fill(text);
    await page.getByRole("button", { name: "Save note" }).click();
    await expect(shown).toBeVisible(SHOWN);
    await expect(page.getByLabel("Your message"), "the composer is empty again").toHaveValue("");
  }

  /** Asks the customer. */
  async ask(text: string): Promise<void> {
    await this.app.page.getByLabel("Your message").fill(text);
    await this.app.page.getByRole("button", { name: "Ask", exact: true }).click();
    await expect(message(this.app, text)).toBeVisible(SHOWN);
  }

  /** Presses a button of the page's head; the panel that opens. */
  async decide(verdict: "Grant" | "Decline" | "Revoke"): Promise<Locator> {
    await this.app.page.getByRole("button", { name: verdict, exact: true }).click();
    const panel = this.app.page.getByRole("dialog");
    await expect(panel).toBeVisible();
    return panel;
  }
}

/** A message of the thread. */
function message(app: Console, text: string): Locator {
  return app.page.getByTestId("message").filter({ hasText: text });
}

/** The step that a request is at. */
function step(app: Console): Locator {
  return app.page.getByTestId("steps").locator("[aria-current=step]");
}

/** Waits until the page says how the request stands. */
async function stands(app: Console, text: string | RegExp): Promise<void> {
  await expect(app.page.getByTestId("standing")).toContainText(text, SHOWN);
}

test("request, question, answer, grant and revocation, each seen by the other side without a reload", async ({
  world,
  browsers,
}) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const anna = new Supporter(await browsers(world.anna));
  await anna.queue();

  await customer.section();
  await stands(customer.app, "File a request");
  await customer.app.inspect("shadowport-empty");
  await customer.app.page.getByRole("button", { name: "Request shadowport" }).click();
  await expect(customer.app.page.getByRole("textbox", { name: "Project ID" })).toHaveValue(world.project.id);
  await customer.app.page.getByRole("button", { name: "Send request" }).click();
  await expect(customer.app.page.getByText("Say in at least 10 characters")).toBeVisible();
  await expect(customer.app.page.getByLabel("What for")).toBeFocused();
  await customer.app.inspect("shadowport-new");
  await customer.fill("Nightly settlement jobs that only need the registry.", 12);
  const id = await customer.sent();
  await expect(step(customer.app)).toContainText("New");
  await customer.app.page.evaluate(() => Object.assign(window, { untouched: true }));

  // The queue tells of it by itself; taking it marks it for everybody.
  const row = anna.row(world.project);
  await expect(row).toContainText("New", SHOWN);
  await expect(row).toContainText("Nobody");
  await anna.app.inspect("support-queue");
  await row.getByRole("link").first().click();
  await expect(anna.app.heading(`Request of ${world.project.name}`)).toBeVisible();
  await anna.app.page.getByRole("button", { name: "Take", exact: true }).click();
  await expect(step(customer.app)).toContainText("In review", SHOWN);
  await expect(step(anna.app)).toContainText("In review", SHOWN);

  const secret = "Credit check pending, do not tell.";
  await anna.note(secret);
  await anna.ask("Which registry do the jobs pull from?");
  await stands(customer.app, "Support has asked you something");
  await expect(message(customer.app, "Which registry")).toContainText("Support");
  await customer.write("Only from yours.");
  await expect(message(anna.app, "Only from yours.")).toContainText(world.customer.name, SHOWN);
  await anna.app.inspect("support-request");
  await customer.app.inspect("shadowport-request");

  // What support keeps for itself is in nothing that the customer gets.
  await expect(customer.app.page.getByText(secret)).toHaveCount(0);
  await expect(customer.app.page.getByText(world.anna.name)).toHaveCount(0);
  for (const path of ["", `/${id}`]) {
    const answer = await customer.app.page.request.get(`/portolan/v1/projects/${world.project.id}/shadowport${path}`);
    const text = await answer.text();
    expect(text).toContain("Only from yours.");
    expect(text).not.toContain(secret);
    expect(text).not.toContain(world.anna.name);
  }

  const grant = await anna.decide("Grant");
  await anna.app.inspect("support-grant");
  await grant.getByLabel("Until a date").check();
  await grant.getByRole("button", { name: "Grant" }).click();
  await expect(grant).toContainText("Name a day from today on.");
  await grant.getByLabel("Last day").fill("2099-12-31");
  await grant.getByLabel(/^Message for the customer/).fill("Enjoy.");
  await grant.getByRole("button", { name: "Grant" }).click();
  await expect(grant).toBeHidden();
  await stands(customer.app, "Granted until 31 Dec 2099, 23:59");
  await expect(customer.app.page.getByTestId("decision")).toContainText("Enjoy.");
  await customer.app.inspect("shadowport-granted");

  const revoke = await anna.decide("Revoke");
  await expect(revoke.getByTestId("lives-on")).toContainText("No cluster lives on it.");
  await revoke.getByLabel("Message for the customer").fill("The contract has ended.");
  await anna.app.inspect("support-revoke");
  await revoke.getByRole("button", { name: "Revoke" }).click();
  await expect(revoke).toBeHidden();
  await stands(customer.app, "The grant was revoked");
  await expect(customer.app.page.getByText("The contract has ended.")).toBeVisible();
  expect(await customer.app.page.evaluate(() => "untouched" in window)).toBe(true);
});

test("a declined request is asked anew, quoting the first; a second one opens the first", async ({
  world,
  browsers,
}) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const anna = new Supporter(await browsers(world.anna));
  const first = await customer.file("Just to try it out a little.", 3);

  await customer.section();
  await customer.app.page.getByRole("button", { name: "Request shadowport" }).click();
  await expect(customer.app.page.getByText("This project has an open request already.")).toBeVisible();
  await expect(customer.app.page).toHaveURL(new RegExp(`/shadowport/${first}$`));

  await anna.open(first);
  const decline = await anna.decide("Decline");
  await decline.getByRole("button", { name: "Decline" }).click();
  await expect(decline).toContainText("Write at least 10 characters");
  await decline.getByLabel("Message for the customer").fill("Please say what the cluster is for.");
  await decline.getByRole("button", { name: "Decline" }).click();
  await expect(decline).toBeHidden();
  await expect(step(customer.app)).toContainText("Declined", SHOWN);
  await expect(customer.app.page.getByTestId("decision")).toContainText("Please say what the cluster is for.");
  await customer.app.inspect("shadowport-declined");

  await customer.app.page.getByRole("link", { name: "Ask again" }).click();
  const quote = customer.app.page.getByRole("region", { name: "The request that was declined" });
  await expect(quote).toContainText("Just to try it out a little.");
  await expect(quote).toContainText("Please say what the cluster is for.");
  await customer.app.inspect("shadowport-again");
  await customer.fill("A build farm: pulls images, pushes images.", 4);
  const second = await customer.sent();
  expect(second).not.toEqual(first);
  await anna.open(second);
  await anna.app.page.getByRole("link", { name: "The request that was declined" }).click();
  await expect(anna.app.page).toHaveURL(new RegExp(`/support/queue/${first}$`));

  await customer.app.page.getByRole("button", { name: "Withdraw" }).click();
  await customer.app.page.getByRole("button", { name: "Really withdraw?" }).click();
  await expect(step(customer.app)).toContainText("Withdrawn", SHOWN);
  await customer.section();
  await expect(customer.app.page.locator("[data-testid^=request-row-]")).toHaveCount(2);
  await customer.app.inspect("shadowport");
});

test("of two who decide at once the second is told who was first, and nothing changes", async ({ world, browsers }) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const id = await customer.file("Two clusters for the night shift.", 5);
  const anna = new Supporter(await browsers(world.anna));
  const bert = new Supporter(await browsers(world.bert));
  await anna.open(id);
  await bert.open(id);

  // Bert's refusal goes out, and Anna's grant arrives before it.
  const decline = await bert.decide("Decline");
  await decline.getByLabel("Message for the customer").fill("No capacity this month, sorry.");
  const grant = await anna.decide("Grant");
  await bert.app.page.route("**/decline", async (route) => {
    await grant.getByRole("button", { name: "Grant" }).click();
    await expect(grant).toBeHidden();
    await route.continue();
  });
  await decline.getByRole("button", { name: "Decline" }).click();
  await expect(decline.getByRole("alert")).toContainText(
    new RegExp(`Already granted by ${world.anna.name} at \\d\\d:\\d\\d. Nothing was changed.`),
  );
  await expect(step(bert.app)).toContainText("Granted", SHOWN);
  await stands(customer.app, "Granted until it is revoked");
  await bert.app.inspect("support-too-late");

  // A panel that was open when somebody else decided says so before one presses anything.
  await expect(decline.getByRole("textbox")).toBeHidden();
  await decline.getByRole("button", { name: "Close" }).last().click();
  await expect(decline).toBeHidden();
  const mine = await anna.decide("Revoke");
  const theirs = await bert.decide("Revoke");
  await mine.getByLabel("Message for the customer").fill("Granted by mistake.");
  await mine.getByRole("button", { name: "Revoke" }).click();
  await expect(theirs.getByRole("alert")).toContainText(`Already revoked by ${world.anna.name}`, SHOWN);
  await expect(theirs.getByRole("button", { name: "Revoke" })).toHaveCount(0);
});

test("taking a request shows at once in the others' queue, which is filtered by state, taker and project", async ({
  world,
  browsers,
}) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const id = await customer.file("A place for the nightly backups.", 2);
  const anna = new Supporter(await browsers(world.anna));
  const bert = new Supporter(await browsers(world.bert));
  await bert.queue();
  await expect(bert.row(world.project)).toContainText("Nobody", SHOWN);
  await anna.open(id);
  await anna.app.page.getByRole("button", { name: "Take", exact: true }).click();
  await expect(bert.row(world.project)).toContainText(world.anna.name, SHOWN);

  const { page } = bert.app;
  await page.getByLabel("Taken by").selectOption("Me");
  await expect(bert.row(world.project)).toHaveCount(0);
  await page.getByLabel("Taken by").selectOption("Anybody");
  await page.getByLabel("State").selectOption("Declined");
  await expect(page).toHaveURL(/state=declined/);
  await expect(bert.row(world.project)).toHaveCount(0);
  await page.goto(`/support/queue?state=all&project=${world.project.id}`);
  await expect(bert.row(world.project)).toContainText("In review");
  await expect(page.locator("[data-testid^=request-row-]")).toHaveCount(1);
});

test("support looks at a customer's project and changes nothing there", async ({ world, browsers }) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const { page } = customer.app;
  await page.goto(`/p/${world.project.id}/networks`);
  await expect(page.getByRole("button", { name: "Create network" }).first()).toBeVisible();
  await expect(page.getByTestId("viewing")).toHaveCount(0);
  const network = await customer.app.make(world.project.id, "network", { name: "ovens" });

  const anna = new Supporter(await browsers(world.anna));
  await anna.app.page.getByRole("navigation", { name: "Main navigation" }).getByRole("link", { name: "Find" }).click();
  await expect(anna.app.heading("Find a project")).toBeVisible();
  await anna.app.page.getByRole("searchbox").fill(world.project.name);
  await expect(anna.app.page.locator("[data-testid^=project-row-]")).toHaveCount(1, SHOWN);
  await anna.app.inspect("support-find");
  await anna.app.page.getByRole("link", { name: world.project.name }).click();
  const bar = anna.app.page.getByTestId("viewing");
  await expect(bar).toContainText(`Viewing project ${world.project.name} as support, read-only`);
  await expect(anna.app.rows("network")).toHaveCount(1);
  await anna.app.inspect("support-networks");

  for (const path of ["networks", `networks/${network}`, "clusters", "shadowport", "shadowport/new", "networks?panel=new"]) {
    await anna.app.page.goto(`/p/${world.project.id}/${path}`);
    await expect(bar).toBeVisible();
    await expect(anna.app.page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(anna.app.page.getByRole("button", { name: WRITES })).toHaveCount(0);
    await expect(anna.app.page.getByRole("dialog")).toHaveCount(0);
  }
  const hers = (await (await anna.app.page.request.get("/portolan/v1/session")).json()).csrf;
  const refused = await anna.app.page.request.delete(`/v2.0/networks/${network}`, {
    headers: { "X-CSRF-Token": hers, "X-Portolan-Project": world.project.id },
  });
  expect(refused.status()).toBe(403);
});

test("a reader of the project follows and changes nothing", async ({ world, browsers }) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const id = await customer.file("A read-only look at what we do.", 1);
  const rita = await browsers(world.reader);
  for (const path of ["networks", "clusters", "shadowport", "shadowport/new", `shadowport/${id}`]) {
    await rita.page.goto(`/p/${world.project.id}/${path}`);
    await expect(rita.page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(rita.page.getByTestId("viewing")).toHaveCount(0);
    await expect(rita.page.getByRole("button", { name: WRITES })).toHaveCount(0);
    await expect(rita.page.getByRole("textbox", { name: "Your message" })).toHaveCount(0);
  }
  await expect(step(rita)).toContainText("New");
});

test("both sides' way in Russian", async ({ world, browser, baseURL }) => {
  /** A Russian browser in which somebody is logged in already. */
  const open = async ({ name, password }: Person): Promise<Console> => {
    const context = await browser.newContext({ baseURL, locale: "ru-RU" });
    const page = await context.newPage();
    await context.request.post("/portolan/v1/session", { data: { user: name, password } });
    return new Console(page);
  };
  const [customer, anna] = [await open(world.customer), await open(world.anna)];
  const [theirs, hers] = [customer.page, anna.page];
  await theirs.goto(`/p/${world.project.id}/shadowport`);
  await theirs.getByRole("button", { name: "Запросить shadowport" }).click();
  await expect(customer.heading("Заявка на кластер без внешнего IP")).toBeVisible();
  await theirs.getByLabel("Для чего").fill("Ночные расчёты, наружу ничего не нужно.");
  await theirs.getByLabel("Ожидаемое число узлов").fill("7");
  await customer.inspect("shadowport-new-ru");
  await theirs.getByRole("button", { name: "Отправить заявку" }).click();
  await expect(step(customer)).toContainText("Новая");
  const id = new URL(theirs.url()).pathname.split("/")[4];

  await hers.goto("/support/queue");
  await expect(anna.heading("Очередь")).toBeVisible();
  await anna.inspect("support-queue-ru");
  await hers.goto(`/support/queue/${id}`);
  await hers.getByRole("button", { name: "Взять в работу" }).click();
  await expect(step(customer)).toContainText("На рассмотрении", SHOWN);
  await hers.getByLabel("Ваше сообщение").fill("Сколько это продлится?");
  await hers.getByRole("button", { name: "Спросить" }).click();
  await stands(customer, "Поддержка задала вам вопрос");
  await customer.inspect("shadowport-request-ru");
  await anna.inspect("support-request-ru");
  await hers.getByRole("button", { name: "Одобрить" }).click();
  await hers.getByRole("dialog").getByRole("button", { name: "Одобрить" }).click();
  await expect(step(customer)).toContainText("Одобрена", SHOWN);
  await Promise.all([theirs.context().close(), hers.context().close()]);
});

test("every step is in the audit of both sides, and each object has its history", async ({ world, browsers }) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const anna = new Supporter(await browsers(world.anna));
  const theirs = await customer.app.page.context().newPage();
  const audit = new Console(theirs);
  await theirs.goto(`/p/${world.project.id}/audit`);
  await expect(audit.heading("Audit")).toBeVisible();
  // How the people of this test got their roles; by whom of the provider's is not told.
  await expect(theirs.getByRole("row").filter({ hasText: "Role member" })).toContainText("The provider");
  await audit.isLive();

  const id = await customer.file("Weekly reports, no way out needed.", 2);
  const entries = theirs.locator("[data-testid^=audit-row-]");
  await expect(entries.first()).toContainText("Created", SHOWN);
  await expect(entries.first()).toContainText(world.customer.name);
  await expect(entries.first()).toContainText("Console");

  await anna.open(id);
  await anna.app.page.getByRole("button", { name: "Take", exact: true }).click();
  await expect(step(anna.app)).toContainText("In review", SHOWN);
  await anna.note("Nobody of theirs may read this.");
  const grant = await anna.decide("Grant");
  await grant.getByRole("button", { name: "Grant" }).click();
  await expect(grant).toBeHidden();

  // The customer's side knows that it was support, not who, and nothing of notes.
  await expect(entries.first()).toContainText("The provider", SHOWN);
  await entries.first().getByRole("button", { name: /^Details/ }).click();
  await expect(theirs.getByRole("row").filter({ hasText: "state" }).last()).toContainText("granted");
  await expect(theirs.getByText(world.anna.name)).toHaveCount(0);
  await expect(theirs.getByText("Nobody of theirs")).toHaveCount(0);
  await audit.inspect("audit");

  // Support's side knows who.
  const { page } = anna.app;
  await page.goto(`/support/audit?q=object:${id}`);
  const all = page.locator("[data-testid^=audit-row-]");
  await expect(all.first()).toContainText(world.anna.name);
  await expect(all.last()).toContainText(world.customer.name);
  await anna.app.inspect("support-audit");
  await page.getByRole("searchbox").fill(`object:${id} op:create`);
  await expect(all).toHaveCount(1);
  await page.getByRole("searchbox").fill("kind:prot");
  await expect(page.getByText("There is no kind “prot”.")).toBeVisible();

  // From an object to its history and back.
  await page.goto(`/support/audit?q=object:${id} op:create`);
  await all.first().getByRole("link").first().click();
  await expect(page).toHaveURL(new RegExp(`/support/queue/${id}`));
});

test("a network's history tells who changed what, before and after", async ({ world, browsers }) => {
  const customer = new Customer(await browsers(world.customer), world.project);
  const { page } = customer.app;
  const csrf = (await (await page.request.get("/portolan/v1/session")).json()).csrf;
  const headers = { "X-CSRF-Token": csrf, "X-Portolan-Project": world.project.id };
  const network = await customer.app.make(world.project.id, "network", { name: "flour" });
  await page.request.put(`/v2.0/networks/${network}`, { headers, data: { network: { name: "sugar" } } });

  await page.goto(`/p/${world.project.id}/networks/${network}`);
  await customer.app.openTab("History");
  const entries = page.locator("[data-testid^=audit-row-]");
  await expect(entries).toHaveCount(2);
  await entries.first().getByRole("button", { name: /^Details/ }).click();
  await expect(page.getByRole("row", { name: "name flour sugar", exact: true })).toBeVisible();
  await customer.app.inspect("network-history");
});
