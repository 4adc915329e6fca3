/** People and projects, made through the Identity API as an administrator would. */
import type { APIRequestContext } from "@playwright/test";

/** Somebody who can log in. */
export interface Person {
  name: string;
  password: string;
}

/** A project. */
export interface Project {
  id: string;
  name: string;
}

/** A port, as an administrator sees it in the Networking API. */
export interface HiddenPort {
  id: string;
  mac_address: string;
  device_owner: string;
  fixed_ips: { ip_address: string }[];
}

/** The lab's administrator. */
const ADMIN: Person = { name: "admin", password: "admin-portolan" };

/** Makes people and projects. */
export class People {
  private constructor(
    private readonly request: APIRequestContext,
    private readonly token: string,
  ) {}

  /** As the lab's administrator. */
  static async make(request: APIRequestContext): Promise<People> {
    const domain = { name: "Default" };
    const auth = {
      identity: { methods: ["password"], password: { user: { ...ADMIN, domain } } },
      scope: { project: { name: "admin", domain } },
    };
    const answer = await request.post("/v3/auth/tokens", { data: { auth } });
    if (!answer.ok()) throw new Error(`no token: ${answer.status()} ${await answer.text()}`);
    return new People(request, answer.headers()["x-subject-token"]);
  }

  /** A project of its own for a test. */
  async project(name: string): Promise<Project> {
    const { project } = await this.post<{ project: Project }>("/v3/projects", { project: { name } });
    return project;
  }

  /** Somebody with a role in a project. */
  async person(name: string, role: "member" | "reader" | "support", project: Project): Promise<Person> {
    const password = `${name}-password`;
    const { user } = await this.post<{ user: { id: string } }>("/v3/users", { user: { name, password } });
    const { roles } = await this.get<{ roles: { id: string }[] }>(`/v3/roles?name=${role}`);
    const path = `/v3/projects/${project.id}/users/${user.id}/roles/${roles[0].id}`;
    const answer = await this.request.put(path, { headers: this.headers() });
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
    return { name, password };
  }

  /** A project that may use shadowport. */
  async grant(project: Project): Promise<void> {
    const asked = { purpose: "Machines that reach nothing else.", nodes: 3 };
    const { item } = await this.post<{ item: { id: string } }>(`/portolan/v1/projects/${project.id}/shadowport`, asked);
    await this.post(`/portolan/v1/support/requests/${item.id}/grant`, {});
  }

  /** The provider's hidden port in a network. */
  async shadowPort(network: string): Promise<HiddenPort> {
    const query = `network_id=${network}&device_owner=network:shadow_port`;
    const { ports } = await this.get<{ ports: HiddenPort[] }>(`/v2.0/ports?${query}`);
    if (ports.length !== 1) throw new Error(`${network} has ${ports.length} shadow ports`);
    return ports[0];
  }

  /** Whether there is a port of this id, seen by an administrator. */
  async hasPort(id: string): Promise<boolean> {
    const { ports } = await this.get<{ ports: HiddenPort[] }>(`/v2.0/ports?id=${id}`);
    return ports.length === 1;
  }

  private headers(): Record<string, string> {
    return { "X-Auth-Token": this.token };
  }

  private async get<T>(path: string): Promise<T> {
    const answer = await this.request.get(path, { headers: this.headers() });
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
    return answer.json();
  }

  private async post<T>(path: string, data: object): Promise<T> {
    const answer = await this.request.post(path, { headers: this.headers(), data });
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
    return answer.json();
  }
}
