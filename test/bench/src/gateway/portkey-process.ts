import { Server, type AddressInfo } from "node:net";

/** Portkey's gateway, which serves once its module is imported, in a process of its own. */
const listen = Reflect.get(Server.prototype, "listen") as (port: number, host: string) => Server;
// It would listen on every interface, at a port that is told to nobody.
Server.prototype.listen = function listenHere(this: Server): Server {
  this.once("listening", () => process.send?.((this.address() as AddressInfo).port));
  return listen.call(this, 0, "127.0.0.1");
} as Server["listen"];

process.argv.push("--headless");
// It draws on its terminal while it starts.
process.stdout.write = () => true;
console.clear = () => undefined;
for (const method of ["log", "warn"] as const) console[method] = () => undefined;
// @ts-expect-error -- it comes without types
await import("@portkey-ai/gateway/build/start-server.js");
