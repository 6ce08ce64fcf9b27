import { ConfigError, describeValue } from "@sluice/contract";

/** The channel as an identifier of SQL; PostgreSQL cuts longer names short without an error. */
export function quoteChannel(channel: string): string {
  const bytes = Buffer.byteLength(channel);
  if (bytes < 1 || bytes > 63 || channel.includes("\0") || !channel.isWellFormed()) {
    throw new ConfigError({
      option: "listen.channel",
      got: describeValue(channel),
      expected: "1 to 63 bytes without NUL",
    });
  }
  return `"${channel.replaceAll('"', '""')}"`;
}
