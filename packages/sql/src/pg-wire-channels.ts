import { quoteChannel } from "./quote-channel.ts";

/** Which channels a connection listens to, as its statements say. */
export interface WireChannels {
  readonly names: ReadonlySet<string>;
  /** Statements that were carried out, and what the server called them. */
  follow(statements: string, tags: readonly string[]): void;
}

const maxChannels = 64;
const name = String.raw`("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const listened = new RegExp(String.raw`\blisten\s+${name}`, "giu");
const unlistened = new RegExp(String.raw`\bunlisten\s+(?:\*|${name})`, "giu");

export function createWireChannels(): WireChannels {
  const names = new Set<string>();
  return {
    names,
    follow(statements, tags) {
      if (tags.includes("DISCARD ALL")) names.clear();
      if (tags.includes("UNLISTEN")) {
        for (const [, channel] of statements.matchAll(unlistened)) {
          if (channel === undefined) names.clear();
          else names.delete(plain(channel));
        }
      }
      if (!tags.includes("LISTEN")) return;
      for (const [, channel = ""] of statements.matchAll(listened)) {
        if (names.size < maxChannels) names.add(plain(channel));
      }
    },
  };
}

/** A script that listens to each of the channels, or gives it up. */
export function channelScript(verb: "listen" | "unlisten", channels: Iterable<string>): string {
  return [...channels].map((channel) => `${verb} ${quoteChannel(channel)};`).join(" ");
}

function plain(identifier: string): string {
  return identifier.startsWith('"')
    ? identifier.slice(1, -1).replaceAll('""', '"')
    : identifier.toLowerCase();
}
