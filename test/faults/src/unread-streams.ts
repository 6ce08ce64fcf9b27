// Run as a program: sends requests into every upstream it is given, waits for none, and lets go of all.
import { modes } from "./expectations.ts";
import { createFeature, question, type Feature } from "./feature-guard.ts";

const features = process.argv.slice(2).flatMap((url) =>
  modes.map((mode): Feature => {
    const feature = createFeature({ mode, urls: [url], gapMs: 1000, attemptMs: 2000 });
    const { guard } = feature;
    if (mode === "generate") void guard.run(question, { subject: "ann" });
    else guard.stream(question, { subject: "ann" });
    return feature;
  }),
);

process.stdout.write(`began ${features.length}\n`);

// Reached when nothing is left to wait for: no socket, no timer, no hold.
process.once("exit", () => {
  const held = features.map(({ guard }) => guard.inFlight);
  process.stdout.write(`held ${JSON.stringify(held)}\n`);
});
