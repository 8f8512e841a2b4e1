// SPDX-License-Identifier: Apache-2.0
// @tus/server as it comes, on loopback: node server.mjs PACKAGES FOLDER [OPTION=VALUE…]
//
//   expire=MS       unfinished uploads are given up after so long
//   max=BYTES       Tus-Max-Size
//   without=NAME    an extension that it does not have; may be given several times
//   token=FILE      asks for one of the bearer tokens in that file, one a line, read anew for each request
//   relative=yes    says Location without scheme and authority
//   checksum=yes    has the extension of that name for SHA-256, which it lacks otherwise: what is sent is checked before it gets it
//
// Prints its port.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";

const [packages, directory, ...rest] = process.argv.slice(2);
const require = createRequire(path.resolve(packages, "package.json"));
const { Server } = require("@tus/server");
const { FileStore } = require("@tus/file-store");
const options = rest.map((text) => text.split("="));
const option = (name) => options.find(([key]) => key === name)?.[1];
const without = options.filter(([key]) => key === "without").map(([, value]) => value);

const store = new FileStore({ directory, expirationPeriodInMilliseconds: Number(option("expire") ?? 0) });
store.extensions = store.extensions.filter((name) => !without.includes(name) && (name !== "expiration" || option("expire")));

if (option("checksum")) store.extensions.push("checksum");

const tus = new Server({ path: "/files", datastore: store, maxSize: Number(option("max") ?? 0), relativeLocation: option("relative") === "yes" });

const handle = async (request, response) => {
  if (option("token")) {
    const tokens = readFileSync(option("token"), "utf8").split("\n").filter((line) => line);
    if (!tokens.some((token) => request.headers.authorization === `Bearer ${token}`)) {
      request.resume();
      response.writeHead(401, { "WWW-Authenticate": "Bearer" });
      return response.end("no such token\n");
    }
  }
  // What it does not have it does not do either.
  if (request.method === "DELETE" && without.includes("termination")) {
    response.writeHead(404);
    return response.end();
  }
  if (option("checksum")) {
    response.setHeader("Tus-Checksum-Algorithm", "sha1,sha256");
    if (request.headers["upload-checksum"]) return check(request, response);
  }
  return tus.handle(request, response);
};

const check = async (request, response) => {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return; // cut off: nothing of it is kept
  }
  const body = Buffer.concat(chunks);
  const [algorithm, digest] = request.headers["upload-checksum"].split(" ");
  const refusal = algorithm !== "sha256" ? 400 : createHash("sha256").update(body).digest("base64") !== digest ? 460 : 0;
  if (refusal) {
    response.writeHead(refusal, { "Tus-Resumable": "1.0.0" });
    return response.end();
  }
  const { method, url, headers } = request;
  const copy = Object.assign(new PassThrough({ autoDestroy: false }), { method, url, headers });
  copy.end(body);
  return tus.handle(copy, response);
};

const server = createServer(handle);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
