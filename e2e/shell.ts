/** Commands that the console shows, run by a real shell as a reader would paste them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Writes down what it was called with, each word ended by a NUL. */
const WITNESS = '#!/bin/sh\nprintf \'%s\\0\' "$@" > "$WITNESS"\n';

/** The words that `program` gets when a shell runs `text`; nothing else is run. */
export function wordsFor(program: string, text: string, env: Record<string, string> = {}): string[] {
  const folder = mkdtempSync(join(tmpdir(), "portolan-shell-"));
  try {
    const witness = join(folder, "words");
    writeFileSync(join(folder, program), WITNESS, { mode: 0o700 });
    const path = `${folder}:${process.env.PATH}`;
    execFileSync("sh", ["-c", text], { env: { ...env, PATH: path, WITNESS: witness } });
    return readFileSync(witness, "utf8").split("\0").slice(0, -1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a shell prints that runs `text` in a new reader's environment, with `env` besides; its complaints if it fails. */
export function run(text: string, env: Record<string, string> = {}): string {
  // Whoever runs the tests may have settings of their own for what is run.
  const home = mkdtempSync(join(tmpdir(), "portolan-shell-"));
  try {
    const own = { PATH: process.env.PATH!, LANG: "C.UTF-8", HOME: home };
    return execFileSync("sh", ["-c", text], { env: { ...own, ...env }, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
