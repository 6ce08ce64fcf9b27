import type {
  AdmissionDimension,
  GateMode,
  OnIndeterminate,
  SwitchName,
  Switches,
} from "@sluice/contract";

/** How admission and the tool rate are obeyed for one request. */
export interface AdmissionRules {
  readonly modes: Readonly<Record<AdmissionDimension | "tool_rate", GateMode>>;
  /** What a store that can't answer means. */
  readonly onIndeterminate: OnIndeterminate;
}

/** Each is one bit of a combination's number. */
const deciding = [
  "FF_ADMISSION_ENFORCE",
  "ADMISSION_ENFORCE_USER_INFLIGHT",
  "ADMISSION_ENFORCE_GLOBAL_INFLIGHT",
  "ADMISSION_ENFORCE_GLOBAL_MSG_RATE",
  "ADMISSION_ENFORCE_GLOBAL_TOOL_RATE",
  "FF_FAIL_CLOSED_ON_REDIS_ERROR",
] as const satisfies readonly SwitchName[];

type Deciding = Readonly<Record<(typeof deciding)[number], boolean>>;

const combinations: readonly AdmissionRules[] = Array.from(
  { length: 2 ** deciding.length },
  (_, number) => rulesOf((name) => (number & bitOf(name)) !== 0),
);

/**
 * What the chat gateway's switches say of admission. A dimension without a switch of its own, as a budget,
 * is enforced while admission as a whole is. One frozen object for each combination.
 */
export function admissionRules(switches: Switches): AdmissionRules {
  return combinations[numberOf(switches)] as AdmissionRules;
}

function bitOf(name: keyof Deciding): number {
  return 1 << deciding.indexOf(name);
}

function numberOf(switches: Deciding): number {
  let number = 0;
  // A loop by index: it runs on each request of a gateway.
  for (let bit = 0; bit < deciding.length; bit += 1) {
    if (switches[deciding[bit] as keyof Deciding]) number |= 1 << bit;
  }
  return number;
}

function rulesOf(isOn: (name: keyof Deciding) => boolean): AdmissionRules {
  const mode = (name?: keyof Deciding): GateMode =>
    isOn("FF_ADMISSION_ENFORCE") && (name === undefined || isOn(name)) ? "enforce" : "shadow";
  return Object.freeze({
    modes: Object.freeze({
      user_in_flight: mode("ADMISSION_ENFORCE_USER_INFLIGHT"),
      global_in_flight: mode("ADMISSION_ENFORCE_GLOBAL_INFLIGHT"),
      message_rate: mode("ADMISSION_ENFORCE_GLOBAL_MSG_RATE"),
      user_budget: mode(),
      global_budget: mode(),
      tool_rate: mode("ADMISSION_ENFORCE_GLOBAL_TOOL_RATE"),
    }),
    onIndeterminate: isOn("FF_FAIL_CLOSED_ON_REDIS_ERROR") ? "closed" : "open",
  });
}
