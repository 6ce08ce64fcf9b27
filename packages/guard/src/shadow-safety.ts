import { shutBy } from "@sluice/policy";
import type { Events } from "./events.ts";
import type { Safety } from "./safety.ts";

/** What can shut a shadow: all that shuts the guard beside it, and a kill of its own. */
export function shadowSafety(parent: Safety, events: Events): Safety {
  const local = { killed: false, tripped: false };
  return {
    current: () => parent.current(),
    shut: (by = parent.current()) => parent.shut(by) ?? shutBy(by.flags, local, false),
    kill() {
      if (local.killed) return;
      local.killed = true;
      events.alert({ code: "KILLED_LOCALLY", message: "the shadow is killed until restored" });
    },
    restore() {
      if (!local.killed) return;
      local.killed = false;
      events.alert({ code: "RESTORED_LOCALLY", message: "the kill of the shadow is lifted" });
    },
    // It has no tripwire.
    trip: () => undefined,
    resetTrip: () => undefined,
  };
}
