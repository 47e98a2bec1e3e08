// npm's ssh2 through Bartizan: `ssh2_client.js jump|name PORT KEY LOGIN KNOWN_HOSTS ACTION …`.
// Exits with 0 when the action did all it should; see `Library` in `tools.rs`.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { promisify } = require("node:util");
const { Client } = require("ssh2");

const [way, port, keyfile, login, , action, ...words] = process.argv.slice(2);
const privateKey = fs.readFileSync(keyfile);

// It knows no host certificates; that the key is right is tested with clients that do.
const connect = (options) =>
  new Promise((resolve, reject) => {
    const client = new Client();
    client.on("ready", () => resolve(client)).on("error", reject).connect({ privateKey, ...options });
  });

const text = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

const exit = (stream) => new Promise((resolve) => stream.on("exit", resolve));

const actions = {
  async shell(client, typed) {
    const stream = await promisify(client.shell.bind(client))({ term: "xterm" });
    const code = exit(stream);
    stream.write(typed);
    const shown = await text(stream);
    assert.strictEqual(await code, 7);
    return shown;
  },
  async exec(client, command) {
    const stream = await promisify(client.exec.bind(client))(command);
    const all = Promise.all([text(stream), text(stream.stderr), exit(stream)]);
    stream.end("in\n");
    assert.deepStrictEqual(await all, ["in\nhi\n", "no\n", 7]);
    return "";
  },
  async upload(client, near, far) {
    const sftp = await promisify(client.sftp.bind(client))();
    await promisify(sftp.fastPut.bind(sftp))(near, far);
    return "";
  },
  async download(client, far, near) {
    const sftp = await promisify(client.sftp.bind(client))();
    await promisify(sftp.fastGet.bind(sftp))(far, near);
    return "";
  },
  async forward(client, to) {
    const stream = await promisify(client.forwardOut.bind(client))("127.0.0.1", 0, "127.0.0.1", Number(to));
    stream.write("hello!");
    return text(stream);
  },
};

const main = async () => {
  const bastion = { host: "127.0.0.1", port: Number(port) };
  let outer, client;
  if (way === "jump") {
    outer = await connect({ ...bastion, username: "alice" });
    const sock = await promisify(outer.forwardOut.bind(outer))("127.0.0.1", 0, "web-1", 22);
    client = await connect({ sock, username: login });
  } else {
    client = await connect({ ...bastion, username: `${login}@web-1` });
  }
  process.stdout.write(await actions[action](client, ...words));
  client.end();
  outer?.end();
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
