/** The lab: started once for all tests, and spoken to by its own program. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A cluster. */
export interface Cluster {
  id: string;
  name: string;
  project_id: string;
}

/** What the lab says of itself (`portolan-lab status`). */
export interface Report {
  name: string;
  url: string;
  users: { name: string; password: string; project: string }[];
  /** The demo's. */
  cluster: Cluster | null;
  hosts: { name: string; cluster: Cluster; address: string; agent: number | null }[];
  pods: { name: string; cluster: string; host: string; address: string; echo: string }[];
  state_dir: string;
}

/** Exit code of the lab where this machine or user cannot have one. */
const NO_LAB = 77;
/** How long everything may take to stand. */
const READY_WITHIN = 90_000;
/** How long the lab may take to end. */
const ENDED_WITHIN = 5_000;

const here = dirname(fileURLToPath(import.meta.url));

/** The lab's program: where `PORTOLAN_BIN_DIR` says, else as cargo has last built it. */
export function program(): string {
  const target = process.env.CARGO_TARGET_DIR ?? join(here, "../target");
  const folders = [process.env.PORTOLAN_BIN_DIR, join(target, "debug"), join(target, "release")];
  const found = folders.filter((folder) => folder !== undefined).map((folder) => join(folder, "portolan-lab"));
  const path = found.find((file) => existsSync(file));
  if (!path) throw new Error(`portolan-lab is in none of ${found.join(", ")}: run cargo xtask test, or build it`);
  return path;
}

/** A lab that runs, with its end. */
export interface Running {
  report: Report;
  /** Why there are no hosts in it, if there are none. */
  lacks?: string;
  end(): Promise<void>;
}

/** Starts a lab; where none may be, a control plane without hosts. */
export async function start(): Promise<Running> {
  const check = spawn(program(), ["check"], { stdio: ["ignore", "ignore", "pipe"] });
  let lacks = "";
  check.stderr.on("data", (text) => (lacks += text));
  const code = await new Promise((done) => check.on("close", done));
  return code === NO_LAB ? up(["--hosts", "0"], lacks.trim()) : up([]);
}

async function up(options: string[], lacks?: string): Promise<Running> {
  const state = mkdtempSync(join(tmpdir(), "portolan-e2e-"));
  const args = ["up", "--listen", `127.0.0.1:${await freePort()}`, "--state-dir", state, ...options];
  const lab = spawn(program(), args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const report = await ready(lab);
    return {
      report,
      lacks,
      end: async () => {
        await ended(lab);
        rmSync(state, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await ended(lab);
    throw error;
  }
}

/** The first line that says `ready`. */
function ready(lab: ChildProcess): Promise<Report> {
  return new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error("the lab is not ready in time")), READY_WITHIN);
    lab.on("exit", (code) => fail(new Error(`the lab ended with code ${code} before it was ready`)));
    createInterface({ input: lab.stdout! }).on("line", (line) => {
      if (!line.startsWith("ready ")) return;
      clearTimeout(late);
      done(JSON.parse(line.slice("ready ".length)));
    });
  });
}

async function ended(lab: ChildProcess): Promise<void> {
  if (lab.exitCode !== null || lab.signalCode !== null) return;
  const gone = new Promise<void>((done) => lab.on("exit", () => done()));
  lab.kill("SIGTERM");
  const force = setTimeout(() => lab.kill("SIGKILL"), ENDED_WITHIN);
  await gone;
  clearTimeout(force);
}

/** A port that nobody listens on, of those that no connection takes by itself until the lab does. */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await new Promise((done) => {
      const server = createServer();
      server.on("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (free) return port;
  }
  throw new Error("no port is free");
}

/** Speaks to the running lab: of the demo's cluster, or of the one of that name. */
export class Lab {
  constructor(private readonly stateDir: string) {}

  /** Everything there is of it. */
  status(cluster?: string): Report {
    return of(cluster, this.ask("status"));
  }

  /** A new pod, by a real CNI ADD. */
  addPod(host: string, name: string, cluster?: string): Report {
    return of(cluster, this.ask("pod", "add", ...on(host, cluster), "--name", name));
  }

  /** A pod away, by a real CNI DEL. */
  deletePod(name: string): Report {
    return this.ask("pod", "del", "--name", name);
  }

  /** An agent killed, as by a crash. */
  killAgent(host: string, cluster?: string): Report {
    return of(cluster, this.ask("agent", "kill", ...on(host, cluster)));
  }

  /** An agent started again. */
  startAgent(host: string, cluster?: string): Report {
    return of(cluster, this.ask("agent", "start", ...on(host, cluster)));
  }

  private ask(...words: string[]): Report {
    const text = execFileSync(program(), [...words, "--state-dir", this.stateDir], { encoding: "utf8" });
    return JSON.parse(text);
  }
}

function on(host: string, cluster?: string): string[] {
  return [...(cluster ? ["--cluster", cluster] : []), "--host", host];
}

function of(name: string | undefined, all: Report): Report {
  const hosts = all.hosts.filter(({ cluster }) => (name ? cluster.name === name : cluster.id === all.cluster?.id));
  const ids = hosts.map(({ cluster }) => cluster.id);
  return { ...all, hosts, pods: all.pods.filter(({ cluster }) => ids.includes(cluster)) };
}
