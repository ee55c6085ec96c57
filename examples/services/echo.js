#!/usr/bin/node
// SPDX-License-Identifier: MIT
// A service for Node: runs as many jobs at once as `concurrency` allows; the result is the body.
"use strict";
const net = require("net");
const readline = require("readline");

const skep = new net.Socket({ fd: 3, readable: true, writable: true });
const say = (message) => skep.write(JSON.stringify(message) + "\n");
const running = new Map();

async function work(job, signal) {
  if (job.body !== undefined) return { result: job.body };
  return { result_base64: job.body_base64 };
}

async function run(job) {
  const stop = new AbortController();
  running.set(job.run, stop);
  try {
    const result = await work(job, stop.signal);
    say({ done: { run: job.run, ...result } });
  } catch (error) {
    say({ failed: { run: job.run, error: String(error), retry: true } });
  } finally {
    running.delete(job.run);
  }
}

say({ hello: { version: 1, capabilities: ["ping", "cancel"] } });
readline.createInterface({ input: skep, crlfDelay: Infinity }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.job) run(message.job);
  if (message.cancel) running.get(message.cancel.run)?.abort();
  if (message.ping !== undefined) say({ pong: message.ping });
}).on("close", () => process.exit(0));
