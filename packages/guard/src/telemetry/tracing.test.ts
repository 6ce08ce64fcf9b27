import * as openTelemetry from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { Reason, type FailureCode } from "@sluice/contract";
import { fakeProvider } from "@sluice/testkit";
import { expect, it } from "vitest";
import type { StopCause } from "../attempt-end.ts";
import { createTracing } from "./tracing.ts";

const exporter = new InMemorySpanExporter();
openTelemetry.trace.setGlobalTracerProvider(
  new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
);

it.each<[StopCause, FailureCode]>([
  [{ kind: "shut", reason: Reason.KILLED }, "KILLED"],
  [{ kind: "timeout" }, "PROVIDER_TIMEOUT"],
  [{ kind: "client" }, "CLIENT_ABORTED"],
])("a span of an attempt that was stopped (%o) bears the failure code %s", (cause, code) => {
  exporter.reset();
  const tracing = createTracing("sample_ai", openTelemetry);
  const seen = { bytes: undefined, firstContentMs: undefined, usage: undefined };
  tracing.startAttempt(fakeProvider(), undefined, undefined).end({ kind: "stopped", cause, seen });
  expect(exporter.getFinishedSpans()).toMatchObject([
    { attributes: { "error.type": code }, status: { message: code } },
  ]);
});
