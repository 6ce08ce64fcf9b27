import { describe, expect, it } from "vitest";
import {
  connectToCluster,
  wire,
  wireBlocks,
  wireShards,
  wireSubjectLeases,
} from "./shared-limits.ts";

describe("the wiring of shared limits", () => {
  it("starts while Redis is away, and the share of this process counts", async () => {
    // Nothing listens on the port of the discard protocol.
    const { client, admission, guard } = wire(
      "redis://127.0.0.1:9",
      "sixteen characters",
      () => undefined,
    );
    try {
      const outcome = await guard.run("hello", { subject: "ann" });
      expect(outcome.status).toBe("SUCCEEDED");
      expect(guard.describe().toString()).toContain("user in-flight 2");
      // What makes a guard without prices refuse to start.
      expect(admission.countsCost).toBe(true);
      const blocks = wireBlocks({ client, secret: "sixteen characters" });
      expect(blocks.countsCost).toBe(false);
      expect(blocks.describe()).toContain("global in-flight 4000 (enforce)");
      expect(blocks.describe()).toContain("global limits in blocks, for 20 processes");
      blocks.close();
      const subjects = wireSubjectLeases({ client, secret: "sixteen characters" });
      expect(subjects.describe()).toContain("user in-flight 2 (enforce)");
      expect(subjects.describe()).toContain("subjects leased for 5000 ms");
      subjects.close();
      const shards = wireShards({ client, secret: "sixteen characters" });
      expect(shards.describe()).toContain("split among 8 shards");
      shards.close();
      const ofCluster = connectToCluster("redis://127.0.0.1:9", "redis://127.0.0.1:9");
      const inCluster = wireShards({ client: ofCluster, secret: "sixteen characters" });
      inCluster.close();
      ofCluster.disconnect();
    } finally {
      guard.close();
      admission.close?.();
      client.disconnect();
    }
  });
});
