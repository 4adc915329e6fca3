/** A customer looks for the shadow port everywhere in the console, and learns only that the provider uses an address. */
import type { Locator, Page } from "@playwright/test";
import { Console, expect, test as base } from "../fixtures";
import { type HiddenPort, People, type Person, type Project } from "../people";
import { Recorder } from "../recorder";
import { englishOn } from "../texts";

/** A customer whose project may use shadowport, and somebody who sees everything. */
interface World {
  people: People;
  project: Project;
  customer: Person;
}

const test = base.extend<{ world: World }>({
  world: async ({ request }, use, info) => {
    const people = await People.make(request);
    const mark = `sph${info.workerIndex}${Date.now().toString(36)}`;
    const project = await people.project(`${mark}-mill`);
    const customer = await people.person(`${mark}-nora`, "member", project);
    await people.grant(project);
    await use({ people, project, customer });
  },
});

/** What the tab says while the customer has no port there. */
const NO_PORTS =
  "A port is a place on the subnet: an address, and what is attached to it.";

test.describe.configure({ timeout: 240_000 });

/** What must be in nothing that a customer gets: who has the provider's address. */
function secrets(hidden: HiddenPort): string[] {
  return [hidden.id, hidden.mac_address, hidden.device_owner];
}

/** Holds all that pages got against what must not be in it; an answer may say again the id that it was asked for. */
async function saysNothing(recorders: Recorder[], hidden: HiddenPort, seen: string): Promise<void> {
  for (const recorder of recorders) {
    const events = await recorder.events();
    // It heard something, or else that it heard no secret means nothing.
    expect(events).toContain(seen);
    for (const secret of secrets(hidden)) expect(events).not.toContain(secret);
    const answers = await recorder.answers();
    expect(answers.map(({ body }) => body).join("\n")).toContain(seen);
    for (const { url, status, body } of answers) {
      const asked = url.includes(hidden.id);
      if (asked && !url.includes("/audit?")) expect(status, url).toBe(404);
      for (const secret of secrets(hidden)) {
        if (!asked || secret !== hidden.id) expect(body, url).not.toContain(secret);
      }
    }
  }
}

/** Nothing that can be seen or read out on the screen tells of it. */
async function hides(page: Page, hidden: HiddenPort): Promise<void> {
  const html = await page.locator("body").innerHTML();
  for (const secret of [...secrets(hidden), "Shadow port", "Теневой порт"]) expect(html).not.toContain(secret);
}

/** What is shown as code, for every tool. */
async function codes(place: Locator, label: string): Promise<string> {
  await place.getByText(label, { exact: true }).click();
  const shown: string[] = [];
  for (const tool of await place.locator(".code__tool").all()) {
    await tool.click();
    await expect(tool).toHaveAttribute("aria-pressed", "true");
    shown.push((await place.getByTestId("code").textContent())!);
  }
  return shown.join("\n");
}

/** The rows of the ports table, whatever is filtered. */
async function filtered(app: Console, text: string): Promise<Locator> {
  await app.page.getByRole("searchbox").fill(text);
  await expect(app.page).toHaveURL(({ searchParams }) => (searchParams.get("q") ?? "") === text);
  return app.rows("port");
}

test.describe("in English", () => {
  // Asking for what is not there is refused, and the browser says so.
  test.use({ expected: [[/40[049] .*\/(ports|v2\.0)/, /404/, /409/], {}] });

  test("who tries everything in the console learns only that the provider uses an address", async ({ app, world, context }) => {
    const { page } = app;
    const { people, project } = world;
    const recorder = await Recorder.of(page);
    await app.logIn(world.customer.name, world.customer.password);

    // The network is made here, so that the shadow port comes while two pages of the customer's are open.
    const watch = new Console(await context.newPage());
    const watcher = await Recorder.of(watch.page);
    await watch.page.goto(`/p/${project.id}/networks`);
    await watch.isLive();
    await page.goto(`/p/${project.id}/networks/new`);
    const main = page.getByRole("main");
    await main.getByLabel("Name", { exact: true }).fill("quiet");
    await main.getByLabel("Internet access").uncheck();
    await main.getByLabel("Access to provider services").check();
    const shown = [await codes(main, "Show as code")];
    await main.getByRole("button", { name: "Create network" }).click();
    await expect(app.heading("quiet")).toBeVisible();
    const network = new URL(page.url()).pathname.split("/")[4];
    await expect(watch.rows("network")).toHaveCount(1);

    await page.getByRole("button", { name: "Add subnet" }).first().click();
    const adding = app.panel("Add subnet");
    await adding.getByLabel("Name", { exact: true }).fill("inside");
    await adding.getByLabel("CIDR").fill("10.77.0.0/29");
    shown.push(await codes(adding, "Show as code"));
    await adding.getByRole("button", { name: "Create subnet" }).click();
    await expect(adding).toBeHidden();
    const hidden = await people.shadowPort(network);
    const address = hidden.fixed_ips[0].ip_address;

    // Everywhere an address is used and there is no port.
    const row = watch.rows("network").filter({ hasText: "quiet" });
    await expect(row.locator("[data-column=used]")).toContainText(/^\s*1 of /);
    await expect(row.locator("[data-column=ports]")).toHaveText("0");
    await hides(watch.page, hidden);
    const inside = app.rows("subnet").filter({ hasText: "inside" });
    await expect(inside.locator("[data-column=used]")).toContainText(/^\s*1 of /);
    await expect(inside.locator("[data-column=ports]")).toHaveText("0");
    await hides(page, hidden);

    // The subnet's card says whose the address is; the tab counts none.
    await inside.getByRole("link").first().click();
    await expect(app.tab("Information")).toHaveAttribute("aria-selected", "true");
    const subnet = new URL(page.url()).pathname.split("/")[4];
    const used = page.locator(".card").filter({ has: page.getByRole("heading", { name: "Used" }) });
    await expect(used.getByRole("term")).toHaveText(["Provider"]);
    await expect(used.getByRole("definition")).toHaveText(["1"]);
    await expect(app.tab("Ports")).toHaveText(/^\s*Ports\s*0\s*$/);
    await hides(page, hidden);
    await app.openTab("Ports");
    await expect(page.getByText(NO_PORTS)).toBeVisible();

    // The form; what it says of the address before it is sent, and the server's answer.
    await page.getByRole("button", { name: "Add port" }).first().click();
    const port = app.panel("Add port to inside");
    await port.getByLabel("Name").fill("mine");
    await port.getByLabel("These addresses").check();
    await port.getByLabel("IP addresses").fill(address);
    await expect(port.locator(".field__message")).toHaveText(
      "Free as far as you can see: the provider uses 1 address of this subnet.",
    );
    shown.push(await codes(port, "Show as code"));
    await hides(page, hidden);
    await port.getByRole("button", { name: "Create port" }).click();
    await expect(port.locator(".field__message")).toHaveText(`${address} is taken by the provider.`);
    await app.inspect("shadow-port-taken");
    await hides(page, hidden);
    await port.getByLabel("Any free address").check();
    await port.getByRole("button", { name: "Create port" }).click();
    await expect(port).toBeHidden();
    for (const secret of secrets(hidden)) expect(shown.join("\n")).not.toContain(secret);

    // No filter finds more than the customer's own port.
    await expect(app.rows("port")).toHaveCount(1);
    const own = (await app.rows("port").getAttribute("data-testid"))!;
    expect(own).not.toContain(hidden.id);
    for (const [text, rows] of [
      ["mine", 1],
      ["ip:10.77.0.0/29", 1],
      ["kind:reserved", 1],
      [address, 0],
      [`ip:${address}`, 0],
      [`ip:${address}/32`, 0],
      ["Provider", 0],
      ["attached:provider", 0],
      ["kind:provider", 0],
      ["kind:shadow", 0],
      ["shadow", 0],
      [hidden.device_owner, 0],
      [hidden.mac_address, 0],
      [`mac:${hidden.mac_address}`, 0],
      [hidden.id, 0],
    ] as const) {
      await expect(await filtered(app, text), text).toHaveCount(rows);
      await expect(page.locator(".table-tools__count"), text).toHaveText(`${rows} of 1 port`);
    }
    await filtered(app, "");

    // By the address of its page, as a panel, and to be deleted: as if there were none.
    const nobodys = "There is no port with this ID in this project, or you may not see it.";
    for (const guess of [hidden.id, address]) {
      for (const path of [`ports/${guess}`, `ports/${guess}?panel=delete`, `subnets/${subnet}/ports?port=${guess}`]) {
        await page.goto(`/p/${project.id}/${path}`);
        const place = path.includes("port=") ? page.getByRole("dialog") : main;
        await expect(place.getByText(nobodys), path).toBeVisible();
        await expect(place.getByRole("button", { name: /^(Delete|Disable)/ }), path).toHaveCount(0);
      }
    }
    await app.inspect("shadow-port-nowhere");
    await page.goto(`/p/${project.id}/subnets/${subnet}/ports?port=${hidden.id}&panel=delete-port`);
    const doomed = page.getByRole("dialog");
    await expect(doomed.getByRole("alert")).toBeVisible();
    await expect(doomed.getByRole("button", { name: "Delete port" })).toHaveAttribute("aria-disabled", "true");

    // Who did what: only what the customer did.
    const entries = page.locator("[data-testid^=audit-row-]");
    const history = async (path: string): Promise<string> => {
      await page.goto(`/p/${project.id}/${path}`);
      await expect(entries.first()).toBeVisible();
      for (const details of await page.getByRole("button", { name: /^Details/ }).all()) await details.click();
      return page.getByRole("main").innerText();
    };
    for (const path of ["audit?q=kind:network", "audit?q=kind:subnet", "audit?q=kind:port", `networks/${network}/audit`]) {
      const told = await history(path);
      for (const secret of secrets(hidden)) expect(told, path).not.toContain(secret);
      if (path.includes("kind:")) await expect(entries, path).toHaveCount(1);
    }
    await history(`subnets/${subnet}/audit`);
    await app.inspect("shadow-port-history");
    for (const query of [`object:${hidden.id}`, hidden.mac_address, `kind:port ${hidden.id}`]) {
      await page.goto(`/p/${project.id}/audit?q=${encodeURIComponent(query)}`);
      await expect(page.getByText("Nothing matches."), query).toBeVisible();
    }

    // Quotas: two objects of the network are the customer's, and one port.
    const quota = page.getByTestId("quotas");
    await page.goto(`/p/${project.id}/clusters/new`);
    await expect(quota).toBeVisible();
    const stands = await quota.innerText();
    expect(stands).toMatch(/1 of \d+ networks?/);
    if (/ports?/.test(stands)) expect(stands).toMatch(/1 of [\d,]+ ports?/);

    // Away with it. The plan knows of nothing hidden, and the hidden goes too.
    await page.goto(`/p/${project.id}/subnets/${subnet}/ports`);
    await app.rows("port").getByRole("link").first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete port" }).click();
    await expect(page.getByText(NO_PORTS)).toBeVisible();
    await page.goto(`/p/${project.id}/networks/${network}`);
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    const sure = app.panel("Delete quiet?");
    await expect(sure.locator(".plan__list > li")).toHaveText(["1 subnet: inside"]);
    await expect(sure).not.toContainText(/port|provider/i);
    await app.inspect("shadow-port-delete");
    expect(await people.hasPort(hidden.id)).toBe(true);
    await sure.getByRole("button", { name: "Delete network" }).click();
    await expect(app.heading("Networks")).toBeVisible();
    await expect(watch.rows("network").filter({ hasText: "quiet" })).not.toContainText(address);
    expect(await people.hasPort(hidden.id)).toBe(false);

    await saysNothing([recorder, watcher], hidden, network);
  });
});

test.describe("in Russian", () => {
  test.use({ locale: "ru-RU", expected: [[/40[049] .*\/(ports|v2\.0)/, /404/, /409/], {}] });

  test("a customer learns as little", async ({ app, world }) => {
    const { page } = app;
    const { people, project } = world;
    const recorder = await Recorder.of(page);
    const { name, password } = world.customer;
    await page.request.post("/portolan/v1/session", { data: { user: name, password } });
    const network = await app.make(project.id, "network", { name: "quiet", enable_shadow_port: true });
    const inside = { network_id: network, name: "inside", cidr: "10.78.0.0/29", ip_version: 4 };
    await page.goto(`/p/${project.id}/networks`);
    await expect(app.rows("network")).toHaveCount(1);
    const subnet = await app.make(project.id, "subnet", inside);
    const hidden = await people.shadowPort(network);
    const address = hidden.fixed_ips[0].ip_address;
    await expect(app.rows("network").locator("[data-column=used]")).toContainText(/^\s*1 из /);
    await expect(app.rows("network").locator("[data-column=ports]")).toHaveText("0");

    await page.goto(`/p/${project.id}/subnets/${subnet}`);
    const used = page.locator(".card").filter({ has: page.getByRole("heading", { name: "Занято" }) });
    await expect(used.getByRole("term")).toHaveText(["Провайдер"]);
    await expect(used.getByRole("definition")).toHaveText(["1"]);
    await expect(app.tab("Порты")).toHaveText(/^\s*Порты\s*0\s*$/);
    await app.openTab("Порты");
    await page.getByRole("button", { name: "Добавить порт" }).first().click();
    const port = app.panel("Добавить порт в inside");
    await port.getByLabel("Имя").fill("mine");
    await port.getByLabel("Эти адреса").check();
    await port.getByLabel("IP-адреса").fill(address);
    await port.getByRole("button", { name: "Создать порт" }).click();
    await expect(port.locator(".field__message")).toHaveText(`${address} занят: провайдер.`);
    expect(await englishOn(page)).toEqual([]);
    await app.inspect("shadow-port-taken-ru");
    await port.getByLabel("Любой свободный адрес").check();
    await port.getByRole("button", { name: "Создать порт" }).click();
    await expect(port).toBeHidden();
    for (const text of [address, "Провайдер", "Теневой порт", "kind:теневой", hidden.id, hidden.mac_address]) {
      await expect(await filtered(app, text), text).toHaveCount(0);
      await expect(page.locator(".table-tools__count"), text).toHaveText("1 порт, найдено: 0");
    }
    await hides(page, hidden);
    await page.goto(`/p/${project.id}/ports/${hidden.id}`);
    await expect(page.getByText("В этом проекте нет порта с таким ID, или у вас нет к нему доступа.")).toBeVisible();
    expect(await englishOn(page)).toEqual([]);

    await page.goto(`/p/${project.id}/subnets/${subnet}?panel=delete`);
    const sure = page.getByRole("dialog");
    await expect(sure.getByText("Что мешает")).toBeVisible();
    await expect(sure).toContainText("mine");
    await expect(sure).not.toContainText(/провайдер/i);
    expect(await englishOn(page)).toEqual([]);
    await saysNothing([recorder], hidden, network);
  });
});
